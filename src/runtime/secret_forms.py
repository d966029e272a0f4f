"""The forms in which a text carries a secret, as patterns; `src.runtime.redaction` puts ``***`` in their place.

Each pattern keeps what stands before the secret. A pattern must not touch ordinary text: times, e-mail addresses,
instruments such as ``stock:AAPL@NASDAQ``, counts of tokens, sectors such as Basic Materials.
"""

from __future__ import annotations

import re

# A user, and a password that may hold an @, a slash, quotes or spaces, up to the @ before the host. Digits after the
# colon are a port, unless an @ follows before the next slash or space.
LOGIN = re.compile(
    r"""(\w[\w+.-]{0,30}://)
    (?: [^/\s\[:'"]* @                                     # a user or a token alone
      | [^/\s\[]* : (?!\d{1,5}['"]) [^/\s]* @               # and a password without slash or space
      | [^/\s\[:]* : (?!\d{1,5}(?:[^\w@]|$)) (?:(?!://)[^\s@])* @ (?:[^/\s@]*@)*
      | [^/\s\[:]* : (?!\d{1,5}(?:[^\w@]|$)) (?=\S) (?:(?!://)[^\n@])* @ (?:[^/\s@]*@)* (?=[\w\[/.]) )""",
    re.VERBOSE,
)
# The same without a scheme: bob:pw@host. What stands before the colon of an e-mail address or an instrument is no user.
_LABELS = (
    "mailto|e-?mail|mail|contact|from|to|cc|bcc|by|author|reply-to|sender|owner|sip|sips|xmpp|at|see|ask|write|"
    "stock|etf|crypto|models|sha\\d+"
)
BARE_LOGIN = re.compile(
    rf"""(?<![\w/.:@%+\\~-]) (?!(?:{_LABELS}):) (?!\d+:\d)
    (?![\w.-]*\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?@)
    [\w.%+~-]{{1,64}} :
    (?![\s/\\'":]) [^\s'"<>]*? [^\s'"<>:/] @
    (?=(?:[A-Za-z][\w-]*(?:\.[\w-]+)* | \d{{1,3}}(?:\.\d{{1,3}}){{3}} | \[[0-9a-fA-F:]+\])
       (?::\d|[.:!](?:\s|$)|[/\s'"),;\]}}>|?\#]|$)) (?!sha\d+:)""",
    re.VERBOSE | re.IGNORECASE,
)
_KEYS = (
    r"(?:pass[_-]?(?:word|wd|phrase|code|file)s?|(?<![A-Za-z])pwd|(?<=[_.-])pass|secrets?|token|api[_-]?keys?"
    r"|(?:access|secret|private|account|shared|signing|encryption|auth|client|master|license)[_-]?key(?:[_-]?id)?"
    r"|signature|credentials?|(?<![A-Za-z])auth|authorization|cookies?|session[_-]?id|crumb|(?<=[?&])(?:key|sig|code))"
)
TRIGGER = re.compile("pass|pwd|secret|token|key|sign|cred|auth|cookie|session|crumb|sig=|code=", re.IGNORECASE)
"""Without any of these, no pattern that begins with a key can match."""
_PLAIN_VALUE = r"(?:null|none|true|false|~|\?\?\?)(?![\w.-])"
_QUOTED = r"""b?'(?:[^'\\\n]|\\.)*' | b?"(?:[^"\\\n]|\\.)*" """
# key=value, in addresses, options, dumps of an environment and connection strings. PWD=/home is a folder.
ASSIGNED = re.compile(
    rf"""({_KEYS} (?:\\?["'])? \s?=\s?) (?!{_PLAIN_VALUE}) (?![=\s]) (?!(?<=pwd=)(?:/|[a-z]:\\))
    (?: {_QUOTED} | [^&\s#]*[^&\s#'"),;\]}}] )""",
    re.VERBOSE | re.IGNORECASE,
)
# "key": "value" of JSON, 'key': 'value' of Python; the value may be escaped once more, a list or a mapping.
QUOTED_KEY = re.compile(
    rf"""((\\*["']) [\w. -]{{0,60}}? {_KEYS} \2 \s*:\s*) (?!{_PLAIN_VALUE})
    (?: (\\+["']) (?:(?!\3)[^\n])* \3 | {_QUOTED} | \[[^\]\n]*\] | \{{[^}}\n]*\}} | [^\s,}}\]'"\[{{]+ )""",
    re.VERBOSE | re.IGNORECASE,
)
# key: value, of YAML and of headers, on a line of its own.
LINE = re.compile(
    rf"""(^[ \t>|-]* [\w.-]{{0,60}}? {_KEYS} [ \t]*:[ \t]+) (?!{_PLAIN_VALUE}[ \t]*$) (?:{_QUOTED} | \S[^\n]*)""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# The same inside a sentence: one word, which is more than a word of the language.
INLINE = re.compile(
    rf"""({_KEYS} :[ \t]*) (?!{_PLAIN_VALUE})
    (?: {_QUOTED} | (?=[^\s'"]*\d)[^\s'",;)\]}}]{{4,}} )""",
    re.VERBOSE | re.IGNORECASE,
)
# --password value
OPTION = re.compile(
    rf"""((?:^|(?<=[\s'",\[])) --?[\w-]{{0,60}}? {_KEYS} (?:['"]?,?[ \t]+)) (?!-) (?: {_QUOTED} | [^\s'",\]]+ )""",
    re.VERBOSE | re.IGNORECASE,
)
TOOLS = re.compile(r"sshpass|docker|mysql|mongo|redis-cli|htpasswd|curl|wget")
TOOL = re.compile(
    r"""(\b (?: (?:curl|wget)\b [^\n|;&]*? \s(?:-u|--user)
    | (?:sshpass|docker[ ]login|mysql\w*|mongo\w*|redis-cli|htpasswd)\b [^\n|;&]*? \s(?:-p|-a)) [ =]?)
    (?!-) (?: '[^'\n]*' | "[^"\n]*" | \S+ )""",
    re.VERBOSE,
)
SCHEME = re.compile(r"""(\b(?:(?:proxy-)?authorization|(?:set-)?cookie2?)\s*:\s*)[^\n'"]+""", re.IGNORECASE)
BEARER = re.compile(
    r"\b((?:Bearer|Basic|ApiKey|Negotiate|Digest)\s+)(?=[^\s'\"]*(?:\d[A-Za-z]|=|(?-i:[a-z][A-Z])))[\w.~+/-]{6,}=*",
    re.IGNORECASE,
)
# Whole secrets that are known by their look.
LOOKS = re.compile(r"-----BEGIN|eyJ|AKIA|ASIA|AIza|gh[pousr]_|github_pat|glpat|npm_|hf_|xox|[sr]k[-_]|pypi-")
"""Without any of these, `WHOLE` can't match."""
WHOLE = re.compile(
    r"""-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY(?:[ ]BLOCK)?-----(?:(?!-----END)[\s\S])*(?:-----END[ ][A-Z ]*-----)?
    | \beyJ[\w-]{8,}\.[\w-]{6,}(?:\.[\w-]*)?                                         # a JSON web token
    | \b(?:gh[pousr]_|github_pat_|glpat-|npm_|hf_|xox[abeprs]-|sk-|sk_live_|rk_live_|pypi-)[\w-]{16,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b | \bAIza[\w-]{35}""",
    re.VERBOSE,
)
# Addresses whose path is the secret.
WEBHOOK = re.compile(
    r"""(hooks\.slack\.com/(?:services|workflows|triggers)/ | discord(?:app)?\.com/api/(?:v\d+/)?webhooks/
    | api\.telegram\.org/(?:file/)?bot | \.webhook\.office\.com/webhookb2/ | outlook\.office\.com/webhook/
    | hooks\.zapier\.com/hooks/catch/ | maker\.ifttt\.com/trigger/\w+/with/key/ | ntfy\.sh/
    | open\.feishu\.cn/open-apis/bot/v2/hook/
    | chat\.googleapis\.com/v1/spaces/) [^\s'"<>)\]},?]+ """,
    re.VERBOSE | re.IGNORECASE,
)
