"""Signs for streams that cannot write all of Unicode: a pipe of Windows, LC_ALL=C.

Each sign is one character where that is possible, so that columns stay in line.
"""

import codecs
import unicodedata

HANDLER = "jaxbp.plain"  # what `errors=` of a stream is set to
SIGNS = {
    "−": "-", "–": "-", "—": "-", "─": "-", "━": "-", "‐": "-",
    "│": "|", "┃": "|", "‖": "|", "╷": "|", "╵": "|", "╭": "+", "╮": "+", "╰": "+",
    "╯": "+", "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+", "╴": "-", "╶": "-",
    "×": "x", "·": "*", "•": "*", "…": "...", "±": "+/-", "≤": "<=", "≥": ">=",
    "≠": "!=", "≈": "~", "→": "->", "←": "<-", "✗": "*", "✓": "v", "⚠": "!",
    "⟨": "<", "⟩": ">", "ᵀ": "^T", "∂": "d", "√": "sqrt", "‘": "'", "’": "'",
    "“": '"', "”": '"', "█": "#", "▓": "%", "▒": "+", "░": "-", "µ": "u", "μ": "u",
}  # fmt: skip


def spelled(text: str, encoding: str) -> str:
    """`text` with what the encoding lacks in plain signs."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return "".join(c if _fits(c, encoding) else spelling(c) for c in text)
    return text


def spelling(sign: str) -> str:
    """A sign in ASCII."""
    if sign in SIGNS:
        return SIGNS[sign]
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return plain or _named(sign)


def _named(sign: str) -> str:
    """A letter that has no plain one: alpha, or its number; two stay two."""
    words = unicodedata.name(sign, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        place = words.index("LETTER") + 1
        name = "".join(words[place : place + 1])
        return name.capitalize() if "CAPITAL" in words else name.lower()
    return sign.encode("ascii", "backslashreplace").decode()


def _fits(sign: str, encoding: str) -> bool:
    try:
        sign.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _replaced(error):
    """What a codec calls for signs it does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(map(spelling, signs)), error.end


codecs.register_error(HANDLER, _replaced)


def tolerate(stream) -> None:
    """From now on the stream writes plain signs instead of raising."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=HANDLER)


def encoding_of(stream) -> str:
    """How a stream writes text; UTF-8 where it does not say."""
    return getattr(stream, "encoding", None) or "utf-8"
