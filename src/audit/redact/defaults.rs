//! What is hidden where the policy file says nothing: names of which it is known what they hold.

/// `[action or event.]name`; with `!`, what stays in clear although another pattern names it.
pub(super) const DEFAULT: [&str; 58] = [
    // Names of headers and of variables, wherever they stand.
    "*Secret*",
    "*Password*",
    "*Passwd*",
    "*Passcode*",
    "*Passphrase*",
    "*Pwd*",
    "*Pass",
    "*PIN*",
    "*CVV*",
    "*CVC*",
    "*Card*",
    "*CCNum*",
    "*IBAN*",
    "*Token*",
    "*Credential*",
    "*ApiKey*",
    "*Api_Key*",
    "*PrivateKey*",
    "*Private_Key*",
    "*Md5Cred*",
    "*Digest*",
    "*Authorization*",
    // What somebody typed on his telephone.
    "Digit",
    "*Digits*",
    "DTMF",
    // What is a secret in `Login`, and a typing error in its name does not make it less; in the database it is a name.
    "Key",
    "!DB*.Key",
    // Functions that read what is no variable.
    "*DB(*",
    "*DB_*(*",
    "*AST_CONFIG(*",
    "*AST_SORCERY(*",
    "*REALTIME*(*",
    "*ODBC*(*",
    "*CURL(*",
    "*SHELL(*",
    "*ENV(*",
    "*FILE(*",
    // How Asterisk's own users prove who they are: with these a secret can be tried at leisure.
    "Challenge*.Challenge",
    "ChallengeResponseFailed.Response",
    "ChallengeResponseFailed.ExpectedResponse",
    "InvalidPassword.*Challenge",
    "InvalidPassword.ReceivedHash",
    // People type their secret where the name belongs.
    "InvalidAccountID.AccountID",
    "RequestBadFormat.Request*",
    // Configuration files: passwords stand there under any name, voicemail PINs under the number of the box.
    "GetConfig.Line-*",
    "GetConfigJSON.JSON",
    "UpdateConfig.Value-*",
    "UpdateConfig.Match-*",
    // What the console prints; the command is on record.
    "Command.Output",
    // Messages of persons.
    "SendText.Message",
    "MessageSend.*Body",
    "JabberSend.Message",
    "Presence*.Message",
    "PJSIPNotify.Content",
    // Answers of callers, and what scripts were given.
    "*AGI*.Result",
    "*AGI*.Env",
    // Variables of a dialplan: callers' input stands there under any name. Those that Asterisk itself sets are shown.
    "VarSet.Value",
    "Status.Variable",
];

/// Variables that Asterisk sets, and that say what became of a call.
pub(super) const TOLD: [&str; 26] = [
    "DIALSTATUS",
    "DIALEDPEERNAME",
    "DIALEDPEERNUMBER",
    "DIALEDTIME*",
    "ANSWEREDTIME*",
    "HANGUPCAUSE",
    "BRIDGEPEER",
    "BRIDGEPVTCALLID",
    "QUEUESTATUS",
    "QUEUEPOSITION",
    "QUEUEHOLDTIME",
    "MEMBERINTERFACE",
    "MEMBERNAME",
    "TRANSFERSTATUS",
    "TRANSFER_CONTEXT",
    "BLINDTRANSFER",
    "ATTENDEDTRANSFER",
    "FORWARDERNAME",
    "VMSTATUS",
    "RECORD_STATUS",
    "MIXMONITOR_FILENAME",
    "PLAYBACKSTATUS",
    "AGISTATUS",
    "SIPCALLID",
    "CALLERID(*)",
    "CONNECTEDLINE(*)",
];
