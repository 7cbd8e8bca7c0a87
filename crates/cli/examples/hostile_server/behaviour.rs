//! What the hostile server does wrong, as a table. It is shared with the test that uses it.

/// Where a behaviour can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Stdio,
    Http,
    Both,
}

/// The era of the protocol that the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

impl Era {
    /// The word for it in addresses, arguments and configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

macro_rules! behaviours {
    ($($(#[$what:meta])* $name:ident: $over:ident,)*) => {
        /// What the server does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Behaviour { $($(#[$what])* $name,)* }

        impl Behaviour {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The transports that it is for.
            pub(crate) fn over(self) -> Over {
                match self { $(Self::$name => Over::$over,)* }
            }
        }
    };
}

behaviours! {
    /// Nothing.
    Good: Both,
    /// Tells of progress before it answers, as a good server may: 20 times, in the caller's own hundred.
    TellsProgress: Both,

    // When it is called.
    /// Never answers.
    NeverAnswers: Both,
    /// Answers each call twice.
    AnswersTwice: Both,
    /// Answers under an id that nobody used.
    AnswersForeignId: Both,
    /// Answers with a result and an error.
    AnswersBoth: Both,
    /// Answers with neither.
    AnswersNeither: Both,
    /// Answers with bytes that are no text.
    AnswersNoText: Both,
    /// Answers with 100,000 lists in each other.
    AnswersDeep: Both,
    /// Answers with 100 MB in one line or body.
    AnswersHuge: Both,
    /// Answers with one line or body that has no end.
    AnswersWithoutEnd: Both,
    /// Sends a space every 20 ms and nothing else.
    Trickles: Both,
    /// Sends 10,000 of each kind of notification before it answers.
    Floods: Both,
    /// Asks the client for something, again and again, and waits for no answer.
    AsksWithoutEnd: Both,
    /// Exits, or closes the connection, with half an answer sent.
    StopsMidAnswer: Both,
    /// Sends events without end, none of which is the answer.
    EventsWithoutEnd: Http,
    /// Ends each stream with an id to go on from, and has nothing more then.
    ResumesWithoutEnd: Http,
    /// Says that its body is compressed; unpacked it would be a gigabyte.
    Compresses: Http,
    /// Sends the caller to another address.
    Redirects: Http,
    /// Answers with a header of 16 MB.
    HugeHeader: Http,
    /// Answers with 100,000 headers.
    ManyHeaders: Http,
    /// Says `100 Continue` without end.
    ContinuesWithoutEnd: Http,
    /// Answers with a head and never with a body.
    HeadAlone: Http,
    /// Asks to be left alone for 500 billion years.
    RetryAfterAges: Http,

    // When it is asked for its tools.
    /// Has other tools each time, and says so.
    FickleTools: Both,
    /// Has another tool after it was called, which demands more, and says so.
    PullsTheRug: Both,
    /// Sends a thousand notifications a second from then on.
    FloodsForEver: Both,
    /// Gives the same cursor again and again.
    SameCursor: Both,
    /// Gives another cursor each time, without end.
    PagesWithoutEnd: Both,
    /// Has a tool of 100 MB.
    HugeTool: Both,
    /// Has a tool whose schema is 100,000 levels deep.
    DeepTool: Both,
    /// Has a tool whose schema refers to itself and to nothing else.
    LoopingTool: Both,
    /// Has a tool whose schema doubles with each of 60 references.
    DoublingTool: Both,
    /// Has a tool whose schema is a chain of 7,000 references.
    ChainedTool: Both,
    /// Has a tool whose pattern takes exponential time.
    SlowPattern: Both,
    /// Has the same tool 5,000 times.
    RepeatedTool: Both,
    /// Ends its stream of changes at once, and wants to be asked again at once.
    RestlessStream: Http,

    // Before that.
    /// Does not read.
    NeverReads: Both,
    /// Reads and says nothing.
    Silent: Both,
    /// Exits before it reads.
    ExitsAtStart: Stdio,
    /// Exits when it is asked anything, or closes the connection.
    StopsAtHandshake: Both,
    /// Exits when it hears that it is initialized.
    ExitsWhenInitialized: Stdio,
    /// Exits, or closes the connection, when it is asked for its tools.
    StopsAtList: Both,
    /// Exits, or closes the connection, in the middle of the list of its tools.
    StopsMidList: Both,
    /// Names a revision of the protocol with control characters in it.
    OddRevision: Both,
    /// Gives a session id with spaces.
    SpacedSession: Http,
    /// Gives a session id of bytes that are no text.
    BinarySession: Http,
    /// Gives a session id of 100 KB.
    LongSession: Http,
    /// Gives an empty session id.
    EmptySession: Http,
    /// Refuses everyone, for 500 billion years.
    RefusesForAges: Http,

    // When it is told to go.
    /// Ignores the end of its input and SIGTERM, with a child of its own that holds its output.
    Stays: Stdio,
}

impl Behaviour {
    /// The word for it in addresses, arguments and configuration.
    pub(crate) fn name(self) -> String {
        let mut name = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }
}
