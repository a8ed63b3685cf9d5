"""The characters of the demo stream, one tuple of categories per task, and their names.

The characters are chosen by hand so that a category can be told from every other one by its shape alone. Left
out are those that look like one of an earlier task (Greek Alpha, Cyrillic A and Latin A are one shape; so are
the sum sign and Sigma), small letters that are a smaller copy of their capital (c, o, s, v, w, x, z), small
Cyrillic letters, which are either, and signs too small or too plain to be seen after scaling (dots, bars). A
test compares all pairs in all faces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghijkmnqrtuyæøþðđ"
_GREEK = "ΓΔΞΠΣΦΨΩαβγδεζηθλμξπςστφχω"
_CYRILLIC = "БДЖЗИЛЦЧШЩЪЫЬЭЮЯЂЉЊЋЄЙ"
_ARROWS = "←↑→↓↖↗↘↙↚↛↜↝↢↣↤↥↦↧↩↪↫↬↭↮↯↰↱↲↳↴↵↶↷↹↺↻↼↽↾↿⇀⇁⇂⇃⇄⇅⇆⇇⇈⇉⇊⇋⇌⇍⇎⇏⇑⇓⇖⇗⇘⇙⇚⇛⇞⇟⇤⇥⇦⇨⇪⇫⇮⇰⇱⇲⇳⇵⇶⇷⇸⇺⇻⇿"
_OPERATORS = (
    "∀∂∃∄∇∈∉∋∌∎∐∓∔∗√∛∜∞∠∥∩∫∬∭∴∵∸∹∺∻∼∽≁≂≃≄≅≆≇≈≉≋≌≍≎≏≐≑≒≓≔≖≗≘≙≚≛≝≞≟≠≡≣"  # noqa: RUF001
    "≤≥≦≧≨≩≭≮≯≰≱≲≳≶≷≸≹≺≻≼≽≾≿⊀⊁⊂⊃⊄⊅⊆⊇⊈⊉⊊⊋⊎⊏⊐⊑⊒⊓⊔⊕⊗⊚⊞⊠⊢⊣⊥⊦⊧⊨⊩⊪⊫⊬⊭⊮⊯"
    "⊲⊳⊴⊵⊸⋄⋍⋏⋐⋑⋚⋛⋜⋝⋞⋟⋠⋡⋢⋣⋦⋧⋨⋩"
)

GLYPH_TASKS: Mapping[str, str] = {
    "latin": _LATIN,
    "greek": _GREEK,
    "cyrillic": _CYRILLIC,
    "arrows": _ARROWS,
    "operators": _OPERATORS,
}


def category_name(character: str) -> str:
    """Return a readable folder name.

    >>> category_name("a"), category_name("Γ"), category_name("←")
    ('latin-small-a', 'greek-capital-gamma', 'leftwards-arrow')
    """
    words = unicodedata.name(character).lower().split()
    return "-".join(word for word in words if word != "letter")
