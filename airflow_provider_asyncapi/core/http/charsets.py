"""
Charsets: the labels that a response may declare, and the codec of Python that reads each.

Python takes more for a text encoding than charsets: ``punycode`` and ``idna`` need time that grows with the square of
the text, ``unicode_escape`` runs escapes, ``hex`` and ``zlib`` aren't charsets. And it keeps each unknown name for ever
(``encodings._cache``). So a label is looked up here, and Python's registry sees the names of this list only.
"""

from __future__ import annotations

import encodings
from encodings.aliases import aliases

#: Python's codecs of charsets (https://docs.python.org/3/library/codecs.html#standard-encodings): each decodes in time
#: that grows with the length of the text. UTF-7 is left out, which the Web refuses as well.
_CODECS = frozenset(
    """
    ascii utf_8 utf_8_sig utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le
    latin_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 iso8859_10
    iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16
    cp037 cp273 cp424 cp437 cp500 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp864
    cp865 cp866 cp869 cp874 cp875 cp932 cp949 cp950 cp1006 cp1026 cp1125 cp1140
    cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258
    koi8_r koi8_t koi8_u kz1048 ptcp154 tis_620 hp_roman8
    mac_arabic mac_croatian mac_cyrillic mac_farsi mac_greek mac_iceland mac_latin2 mac_roman mac_romanian mac_turkish
    big5 big5hkscs gb2312 gbk gb18030 hz
    euc_jp euc_jis_2004 euc_jisx0213 shift_jis shift_jis_2004 shift_jisx0213
    iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext
    euc_kr johab iso2022_kr
    """.split()  # noqa: SIM905 - names without a hundred quotes
)
#: Labels of the Web (https://encoding.spec.whatwg.org/#names-and-labels) that Python doesn't know.
_WEB_LABELS = {
    "unicode_1_1_utf_8": "utf_8",
    "csunicode": "utf_16_le",
    "iso_10646_ucs_2": "utf_16_le",
    "ucs_2": "utf_16_le",
    "unicode": "utf_16_le",
    "unicodefeff": "utf_16_le",
    "unicodefffe": "utf_16_be",
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_8_i": "iso8859_8",
    "koi": "koi8_r",
    "koi8": "koi8_r",
    "koi8_ru": "koi8_u",
    "dos_874": "cp874",
    "windows_874": "cp874",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_mac_roman": "mac_roman",
    "x_mac_ukrainian": "mac_cyrillic",
    "cn_big5": "big5",
    "x_x_big5": "big5",
    "x_gbk": "gbk",
    "x_euc_jp": "euc_jp",
    "x_sjis": "shift_jis",
    "ks_c_5601_1989": "euc_kr",
    "windows_949": "cp949",
    **{f"x_cp125{digit}": f"cp125{digit}" for digit in range(9)},
}
_LABELS = {
    **{label.lower(): codec for label, codec in aliases.items() if codec in _CODECS},
    **_WEB_LABELS,
    **{codec: codec for codec in _CODECS},
}


def find_codec(label: str) -> str | None:
    """Return the name of Python's codec for a charset's label, in any case and spelling; None for an unknown one."""
    codec = _LABELS.get(encodings.normalize_encoding(label.strip()).lower())
    return None if codec is None else codec.replace("_", "-")
