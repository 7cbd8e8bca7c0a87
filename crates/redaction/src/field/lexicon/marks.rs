//! Words in names of fields that say of whom or of what something is, and not what. A flat table.

/// Words with which a name is of a person: `customer_name`, `nom_client`.
pub(in crate::field) const PEOPLE: &str = "customer user client person people employee patient contact member owner author \
    guest passenger student teacher doctor manager recipient sender holder account applicant candidate driver tenant \
    subscriber beneficiary insured payer payee signatory requester reporter assignee buyer seller cardholder husband wife \
    father mother parent child spouse agent attendee participant guardian lead prospect worker staff individual \
    kunde kunden mitarbeiter ansprechpartner patientin nutzer benutzer person inhaber empfanger absender \
    utilisateur employe titulaire destinataire personne cliente clientes usuario empleado persona paciente contacto \
    dipendente utente paziente contatto intestatario klant gebruiker medewerker werknemer persoon \
    funcionario pessoa utilizador klient uzytkownik pracownik osoba pacjent profile profil";

/// Words for a name, which is a person's only with one of [`PEOPLE`] or in the company of other data of a person.
pub(in crate::field) const NAMES: &str = "name names nom nombre nome naam imie nazwa full first last middle";

/// Fields that often hold who did something, by a name, an account or a team.
pub(in crate::field) const ROLES: &str = "author assignee reporter requester owner createdby updatedby modifiedby approver \
    approvedby assignedto manager supervisor contact customer employee patient user attendee sender recipient \
    organizer creator submitter reviewer agent signedby salesperson salesrep accountmanager attention attn caller doctor \
    kunde client cliente klant klient auteur autor auteurs responsable ansprechpartner";

/// Words that make of a field something about such data instead of the data.
pub(in crate::field) const ABOUT: &str = "type types count counts verified valid validated status enabled disabled format template \
    subject provider domain label labels placeholder required optional flag sent opt optin optout consent preference \
    preferences notifications notification subscribed bounced version length size hash hashed masked category kind \
    scheme description body title page next previous cursor continuation sync expires expiry expiresat ttl \
    lifetime limit max min total usage used remaining field fields column schema policy rule rules strength prefix \
    suffix country countrycode region state city timezone lang language change changed reset is has can should allow allowed \
    num tokens prompt completion input output pagetoken csrf statement book space range family block pool gateway mask \
    method mode reason attempts last4 source";

/// Words of fields that hold numbers of things.
pub(in crate::field) const THINGS: &str = "order orders orderid ordernumber orderno sku invoice invoicenumber invoiceno ticket \
    case ref reference product productid item itemid part partnumber serial serialnumber batch lot tracking \
    trackingnumber shipment version build commit hash checksum digest uuid guid etag sha sha1 sha256 md5 isbn issn ean gtin upc \
    asin barcode quantity qty amount price total subtotal currency balance timestamp created updated modified url uri \
    href path filename file image transaction transactionid txn payment paymentid request requestid trace traceid span \
    correlation job task run node revision port height width weight size count score rating id ids key index sequence seq \
    contract project campaign shop store warehouse bin shelf model stock article artikel artikelnummer bestellung \
    bestellnummer auftrag auftragsnummer rechnung rechnungsnummer commande facture pedido factura ordine fattura \
    bestelling factuur fatura encomenda zamowienie faktura bestelnummer factuurnummer numerofactura numeropedido \
    numerocommande numerofacture codigo code kode codice kod";
