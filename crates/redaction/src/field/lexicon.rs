//! The names of fields by what they hold, in eight languages.
//!
//! A flat table, so it may be long. Words are written as they are compared: in lower case, without
//! accents and in one piece; `first_name`, `firstName` and `First Name` are all `firstname`.

use crate::kind::Kind;

mod marks;

pub(super) use marks::{ABOUT, NAMES, PEOPLE, ROLES, THINGS};

/// The language of an entry, as the end of its detector's name.
pub(super) type Entry = (&'static str, Kind, &'static str);

pub(super) const LEXICON: &[Entry] = &[
    // English
    ("field.en", Kind::Email, "email emailaddress mail emailid mailaddress emailaddr eml workemail"),
    (
        "field.en",
        Kind::Phone,
        "phone phonenumber phoneno telephone telephonenumber tel telno mobile mobilenumber mobileno mobilephone cell cellphone cellnumber fax faxnumber contactnumber msisdn whatsapp homephone workphone landline phonenum mobilenum",
    ),
    (
        "field.en",
        Kind::CreditCard,
        "creditcard creditcardnumber cardnumber cardno ccnumber ccnum ccno cc pan debitcard debitcardnumber paymentcard cardnum creditcardno",
    ),
    ("field.en", Kind::CardSecurityCode, "cvv cvc cvv2 cvc2 cid cardsecuritycode securitycode cardcode"),
    (
        "field.en",
        Kind::CardExpiry,
        "cardexpiry cardexpiration ccexpiry ccexp cardexpirydate expirymonth expiryyear cardexp creditcardexpiry creditcardexpire ccexpiration",
    ),
    ("field.en", Kind::Iban, "iban ibannumber ibancode"),
    (
        "field.en",
        Kind::BankAccount,
        "bankaccount bankaccountnumber accountnumber accountno acctno acctnumber acctnum bban sortcode routingnumber routing aba abanumber bankacct",
    ),
    ("field.en", Kind::Bic, "bic swift swiftcode bicswift swiftbic biccode bicnumber swiftnumber"),
    (
        "field.en",
        Kind::Ip,
        "ip ipaddress ipaddr ipv4 ipv6 clientip remoteip sourceip remoteaddr ipv4address ipv6address hostip srcip dstip",
    ),
    ("field.en", Kind::Mac, "mac macaddress macaddr hwaddr hardwareaddress"),
    (
        "field.en",
        Kind::Gps,
        "gps latitude longitude lat lng lon latlng latlon geolocation coordinates geopoint gpscoordinates geo",
    ),
    ("field.en", Kind::Ssn, "ssn socialsecurity socialsecuritynumber socialsecurityno itin socsec ssnumber"),
    (
        "field.en",
        Kind::NationalId,
        "nationalid nationalidnumber nationalidentifier identitynumber identitycard idnumber idcard idcardnumber nino nationalinsurance nationalinsurancenumber nhs nhsnumber sin socialinsurancenumber aadhaar personalid personalnumber personalcode citizenid residentid governmentid govid medicare medicarenumber mrn patientid personalidentificationnumber healthinsurancenumber healthid mynumber natid",
    ),
    (
        "field.en",
        Kind::TaxId,
        "taxid taxnumber taxpayerid tin ein vat vatid vatnumber vatno tfn taxidentifier taxidentificationnumber gstin pannumber",
    ),
    ("field.en", Kind::Passport, "passport passportnumber passportno passportid"),
    (
        "field.en",
        Kind::DrivingLicence,
        "driverslicense driverlicense drivinglicense drivinglicence driverslicence driverlicence licensenumber licencenumber dlnumber driverslicensenumber driverlicensenumber drivinglicencenumber drivinglicensenumber driverslicenseno usdriverlicense",
    ),
    (
        "field.en",
        Kind::VehicleId,
        "vin vehicleidentificationnumber licenseplate licenceplate numberplate plate platenumber registrationplate vehicleregistration",
    ),
    ("field.en", Kind::DeviceId, "imei imsi iccid deviceid meid advertisingid idfa gaid udid"),
    (
        "field.en",
        Kind::PersonName,
        "fullname firstname lastname middlename surname givenname familyname forename maidenname personname customername clientname contactname patientname employeename holdername cardholder cardholdername accountholder nameoncard recipientname sendername beneficiary beneficiaryname fname lname nickname displayname legalname realname authorname ownername membername guestname passengername studentname teachername doctorname managername billingname shippingname emergencycontact nextofkin mothersmaidenname spouse spousename preferredname holder cardname patientfullname customerfullname fullnames firstnames lastnames",
    ),
    (
        "field.en",
        Kind::Username,
        "username login loginname loginid useraccount screenname userhandle accountname twitterhandle skype skypeid",
    ),
    (
        "field.en",
        Kind::Address,
        "address streetaddress street streetname homeaddress postaladdress mailingaddress billingaddress shippingaddress deliveryaddress addressline address1 address2 addr addrline fulladdress residence houseaddress workaddress residentialaddress homeaddr streetline addressstreet physicaladdress",
    ),
    ("field.en", Kind::PostalCode, "postalcode postcode zip zipcode zippostalcode pincode"),
    (
        "field.en",
        Kind::DateOfBirth,
        "dob dateofbirth birthdate birthday birthdt bday born birth bornon birthyear yearofbirth dateofbirthday",
    ),
    ("field.en", Kind::Age, "age ageyears"),
    ("field.en", Kind::Gender, "gender sex"),
    ("field.en", Kind::Nationality, "nationality citizenship ethnicity"),
    (
        "field.en",
        Kind::CryptoAddress,
        "walletaddress wallet cryptoaddress bitcoinaddress btcaddress ethaddress ethereumaddress cryptowallet btcwallet bitcoin",
    ),
    // German
    ("field.de", Kind::Email, "emailadresse mailadresse epost epostadresse"),
    (
        "field.de",
        Kind::Phone,
        "telefon telefonnummer telefonnr telnr handy handynummer handynr mobil mobilnummer mobiltelefon rufnummer festnetz faxnummer durchwahl",
    ),
    ("field.de", Kind::CreditCard, "kreditkarte kreditkartennummer kartennummer kreditkartennr kartennr"),
    ("field.de", Kind::CardSecurityCode, "pruefziffer kartenpruefnummer sicherheitscode prufnummer"),
    ("field.de", Kind::BankAccount, "kontonummer kontonr bankkonto blz bankleitzahl"),
    (
        "field.de",
        Kind::NationalId,
        "steuerid steueridentifikationsnummer idnr sozialversicherungsnummer rentenversicherungsnummer ausweisnummer personalausweis personalausweisnummer ahvnummer ahv svnr svnummer versicherungsnummer krankenversichertennummer sozialversicherungsnr personalausweisnr",
    ),
    (
        "field.de",
        Kind::TaxId,
        "steuernummer ustid ustidnr umsatzsteuerid umsatzsteueridentifikationsnummer steuernr",
    ),
    ("field.de", Kind::Passport, "reisepass reisepassnummer passnummer passnr"),
    ("field.de", Kind::DrivingLicence, "fuhrerschein fuhrerscheinnummer fuehrerschein fuehrerscheinnummer"),
    ("field.de", Kind::VehicleId, "kennzeichen fahrgestellnummer autokennzeichen"),
    (
        "field.de",
        Kind::PersonName,
        "vorname nachname familienname geburtsname zuname kundenname ansprechpartner vollername vollstandigername karteninhaber kontoinhaber patientenname mitarbeitername rufname personenname empfanger absender",
    ),
    ("field.de", Kind::Username, "benutzername benutzerkennung nutzername anmeldename"),
    (
        "field.de",
        Kind::Address,
        "adresse anschrift strasse strassehausnummer hausnummer wohnadresse rechnungsadresse lieferadresse postanschrift wohnort strassenname hausnr heimatadresse lieferanschrift rechnungsanschrift",
    ),
    ("field.de", Kind::PostalCode, "plz postleitzahl"),
    (
        "field.de",
        Kind::DateOfBirth,
        "geburtsdatum geburtstag geburtsjahr gebdatum geboren geboren_am geborenam gebdat",
    ),
    ("field.de", Kind::Age, "alter lebensalter"),
    ("field.de", Kind::Gender, "geschlecht"),
    ("field.de", Kind::Nationality, "staatsangehorigkeit nationalitat staatsburgerschaft"),
    ("field.de", Kind::SecretPassword, "passwort kennwort"),
    // French
    ("field.fr", Kind::Email, "courriel adressemail adresseemail adresseelectronique mel adressecourriel"),
    (
        "field.fr",
        Kind::Phone,
        "numerotelephone numerodetelephone numtel portable telportable telfixe numeroportable numerotel telephoneportable telephonefixe numerofax",
    ),
    (
        "field.fr",
        Kind::CreditCard,
        "cartebancaire numerocarte numerodecarte cartecredit cartedecredit numcarte numerocartebancaire",
    ),
    ("field.fr", Kind::BankAccount, "numerodecompte numerocompte rib comptebancaire"),
    (
        "field.fr",
        Kind::NationalId,
        "numerosecu numerosecuritesociale securitesociale nir numeroinsee numerodesecuritesociale carteidentite cni numerosecurite niss registrenational avs numeroavs numeroidentite",
    ),
    ("field.fr", Kind::TaxId, "numerotva numerofiscal tvaintracommunautaire siret siren"),
    ("field.fr", Kind::Passport, "passeport numeropasseport numerodepasseport"),
    ("field.fr", Kind::DrivingLicence, "permisdeconduire numeropermis permisconduire"),
    ("field.fr", Kind::VehicleId, "immatriculation plaque plaqueimmatriculation"),
    (
        "field.fr",
        Kind::PersonName,
        "prenom nomdefamille nomcomplet nomprenom nomclient nomdenaissance nomjeunefille titulaire nomutilisateurcomplet prenoms nometprenom nomusage nompatient nomcontact",
    ),
    ("field.fr", Kind::Username, "nomutilisateur identifiantutilisateur nomdutilisateur pseudo"),
    (
        "field.fr",
        Kind::Address,
        "rue adressepostale domicile adressedomicile voie adressefacturation adresselivraison adressecomplete numerorue nomrue",
    ),
    ("field.fr", Kind::PostalCode, "codepostal"),
    (
        "field.fr",
        Kind::DateOfBirth,
        "datenaissance datedenaissance naissance anniversaire neele nele anneenaissance",
    ),
    ("field.fr", Kind::Gender, "sexe"),
    ("field.fr", Kind::Nationality, "nationalite"),
    ("field.fr", Kind::SecretPassword, "motdepasse mdp"),
    // Spanish
    ("field.es", Kind::Email, "correo correoelectronico direccioncorreo correoe"),
    (
        "field.es",
        Kind::Phone,
        "telefono numerotelefono numerodetelefono movil celular telefonomovil telefonofijo numerocelular numeromovil",
    ),
    ("field.es", Kind::CreditCard, "tarjetacredito tarjetadecredito numerotarjeta numerodetarjeta tarjeta"),
    ("field.es", Kind::BankAccount, "numerocuenta numerodecuenta cuentabancaria cuenta clabe cbu"),
    (
        "field.es",
        Kind::NationalId,
        "dni nie nif documentoidentidad documentodeidentidad cedula curp rut numerodni numerodocumento nss seguridadsocial documentonacional numeroseguridadsocial numeroidentificacion",
    ),
    ("field.es", Kind::TaxId, "cif rfc cuit cuil"),
    ("field.es", Kind::Passport, "pasaporte numeropasaporte numerodepasaporte"),
    (
        "field.es",
        Kind::DrivingLicence,
        "permisodeconducir licenciaconducir carnetconducir carnetdeconducir licenciadeconducir",
    ),
    ("field.es", Kind::VehicleId, "matricula placa bastidor"),
    (
        "field.es",
        Kind::PersonName,
        "apellido apellidos nombrecompleto primernombre segundonombre primerapellido segundoapellido nombrecliente nombreyapellidos nombreapellidos titular nombrepaciente nombreempleado",
    ),
    ("field.es", Kind::Username, "usuario nombreusuario nombredeusuario"),
    (
        "field.es",
        Kind::Address,
        "direccion calle domicilio direccionpostal direccionenvio direccioncompleta direccionfacturacion",
    ),
    ("field.es", Kind::PostalCode, "codigopostal"),
    ("field.es", Kind::DateOfBirth, "fechanacimiento fechadenacimiento nacimiento cumpleanos fnac fecnac"),
    ("field.es", Kind::Age, "edad"),
    ("field.es", Kind::Gender, "sexo"),
    ("field.es", Kind::Nationality, "nacionalidad"),
    ("field.es", Kind::SecretPassword, "contrasena"),
    // Italian
    ("field.it", Kind::Email, "postaelettronica indirizzoemail indirizzomail pec"),
    (
        "field.it",
        Kind::Phone,
        "telefono numerotelefono numeroditelefono cellulare numerocellulare telefonofisso",
    ),
    ("field.it", Kind::CreditCard, "cartadicredito numerocarta cartacredito numerodicarta"),
    ("field.it", Kind::BankAccount, "contocorrente numeroconto contobancario"),
    (
        "field.it",
        Kind::NationalId,
        "codicefiscale codfisc cartaidentita cartadidentita tesserasanitaria codfiscale",
    ),
    ("field.it", Kind::TaxId, "partitaiva piva"),
    ("field.it", Kind::Passport, "passaporto numeropassaporto"),
    ("field.it", Kind::DrivingLicence, "patente numeropatente"),
    ("field.it", Kind::VehicleId, "targa telaio"),
    (
        "field.it",
        Kind::PersonName,
        "cognome nomecompleto nomecognome nomeecognome intestatario nomecliente nomepaziente nominativo cognomenome",
    ),
    ("field.it", Kind::Username, "nomeutente utente"),
    (
        "field.it",
        Kind::Address,
        "indirizzo residenza indirizzoresidenza indirizzospedizione indirizzofatturazione",
    ),
    ("field.it", Kind::PostalCode, "cap codicepostale"),
    ("field.it", Kind::DateOfBirth, "datanascita datadinascita nascita compleanno annonascita"),
    ("field.it", Kind::Age, ""),
    ("field.it", Kind::Gender, "sesso"),
    ("field.it", Kind::Nationality, "nazionalita cittadinanza"),
    // Dutch
    ("field.nl", Kind::Email, "emailadres mailadres"),
    ("field.nl", Kind::Phone, "telefoon telefoonnummer mobiel mobielnummer gsm gsmnummer telefoonnr"),
    ("field.nl", Kind::CreditCard, "creditcardnummer kaartnummer"),
    ("field.nl", Kind::BankAccount, "rekeningnummer bankrekening rekeningnr bankrekeningnummer"),
    (
        "field.nl",
        Kind::NationalId,
        "bsn burgerservicenummer sofinummer rijksregisternummer identiteitskaart insz rijksregister",
    ),
    ("field.nl", Kind::TaxId, "btwnummer btw btwid"),
    ("field.nl", Kind::Passport, "paspoort paspoortnummer"),
    ("field.nl", Kind::DrivingLicence, "rijbewijs rijbewijsnummer"),
    ("field.nl", Kind::VehicleId, "kenteken chassisnummer nummerplaat"),
    (
        "field.nl",
        Kind::PersonName,
        "voornaam achternaam naamklant volledigenaam tussenvoegsel roepnaam klantnaam familienaam rekeninghouder kaarthouder patientnaam",
    ),
    ("field.nl", Kind::Username, "gebruikersnaam"),
    (
        "field.nl",
        Kind::Address,
        "adres straat straatnaam huisnummer woonadres postadres factuuradres bezorgadres woonplaats",
    ),
    ("field.nl", Kind::DateOfBirth, "geboortedatum geboortedag verjaardag geboortejaar"),
    ("field.nl", Kind::Age, "leeftijd"),
    ("field.nl", Kind::Gender, "geslacht"),
    ("field.nl", Kind::Nationality, "nationaliteit"),
    ("field.nl", Kind::SecretPassword, "wachtwoord"),
    // Portuguese
    ("field.pt", Kind::Email, "correioeletronico enderecoemail"),
    (
        "field.pt",
        Kind::Phone,
        "telefone telemovel numerotelefone telefonefixo numerotelemovel telefonecelular numerocelular",
    ),
    ("field.pt", Kind::CreditCard, "cartaodecredito numerocartao cartaocredito numerodocartao"),
    ("field.pt", Kind::BankAccount, "contabancaria numerodaconta nib numeroconta contacorrente"),
    (
        "field.pt",
        Kind::NationalId,
        "cpf nif rg cartaocidadao cartaodecidadao numeroutente niss bilheteidentidade identidade",
    ),
    ("field.pt", Kind::TaxId, "cnpj contribuinte numerocontribuinte nipc"),
    ("field.pt", Kind::Passport, "passaporte numeropassaporte"),
    ("field.pt", Kind::DrivingLicence, "cartadeconducao cnh cartaconducao"),
    (
        "field.pt",
        Kind::PersonName,
        "sobrenome apelido nomecompleto primeironome ultimonome nomedocliente nomedamae nomemae nomepai nomedopaciente titularcartao",
    ),
    ("field.pt", Kind::Username, "nomedeusuario nomeutilizador utilizador nomeusuario"),
    ("field.pt", Kind::Address, "endereco morada rua logradouro enderecocompleto enderecoentrega"),
    ("field.pt", Kind::PostalCode, "cep codigopostal"),
    (
        "field.pt",
        Kind::DateOfBirth,
        "datanascimento datadenascimento nascimento aniversario dtnascimento dtnasc",
    ),
    ("field.pt", Kind::Age, "idade"),
    ("field.pt", Kind::Nationality, "nacionalidade"),
    ("field.pt", Kind::SecretPassword, "senha palavrapasse"),
    // Polish
    ("field.pl", Kind::Email, "adresemail adrespoczty"),
    ("field.pl", Kind::Phone, "numertelefonu komorka telkomorkowy nrtelefonu telefonkomorkowy nrtel"),
    ("field.pl", Kind::CreditCard, "numerkarty kartakredytowa nrkarty"),
    ("field.pl", Kind::BankAccount, "numerkonta nrkonta kontobankowe rachunek numerrachunku nrrachunku"),
    ("field.pl", Kind::NationalId, "pesel numerpesel dowodosobisty numerdowodu nrdowodu"),
    ("field.pl", Kind::TaxId, "nip numernip regon"),
    ("field.pl", Kind::Passport, "paszport numerpaszportu nrpaszportu"),
    ("field.pl", Kind::DrivingLicence, "prawojazdy"),
    (
        "field.pl",
        Kind::PersonName,
        "imie nazwisko imieinazwisko imienazwisko drugieimie nazwiskorodowe nazwaklienta imionanazwisko imiona",
    ),
    ("field.pl", Kind::Username, "nazwauzytkownika uzytkownik"),
    (
        "field.pl",
        Kind::Address,
        "ulica adreszamieszkania adreszameldowania adreskorespondencyjny adresdostawy nrdomu numerdomu",
    ),
    ("field.pl", Kind::PostalCode, "kodpocztowy"),
    ("field.pl", Kind::DateOfBirth, "dataurodzenia urodzony dataur dataurodz"),
    ("field.pl", Kind::Age, "wiek"),
    ("field.pl", Kind::Gender, "plec"),
    ("field.pl", Kind::Nationality, "narodowosc obywatelstwo"),
    ("field.pl", Kind::SecretPassword, "haslo"),
    // Nordic, Czech, Romanian and other numbers by their own names
    (
        "field.other",
        Kind::NationalId,
        "personnummer fodselsnummer cpr cprnummer hetu henkilotunnus rodnecislo cnp egn oib isikukood asmenskodas amka tckimlik tckimlikno kimlikno cpfcnpj tfncode rrn nric uidai pps ppsn ppsnumber svnr",
    ),
    (
        "field.other",
        Kind::PersonName,
        "fornamn efternamn fornavn etternavn efternavn etunimi sukunimi jmeno prijmeni prenume keresztnev vezeteknev",
    ),
    ("field.other", Kind::Address, "adresa gatuadress gateadresse osoite"),
    ("field.other", Kind::DateOfBirth, "fodelsedatum fodselsdato syntymaaika datumnarozeni datanasterii"),
    // Secrets
    (
        "field.secret",
        Kind::SecretPassword,
        "password passwd pwd passphrase userpassword passcode pin dbpassword passwordhash",
    ),
    (
        "field.secret",
        Kind::SecretGeneric,
        "secret apikey apisecret apitoken accesstoken accesskey authtoken secretkey clientsecret privatekey refreshtoken idtoken bearertoken encryptionkey signingkey signingsecret webhooksecret sessiontoken secretaccesskey masterkey token sharedsecret authkey credential credentials otp totpsecret recoverycode backupcode sessioncookie",
    ),
    (
        "field.secret",
        Kind::SecretAuthorization,
        "authorization proxyauthorization authheader setcookie xapikey",
    ),
];
