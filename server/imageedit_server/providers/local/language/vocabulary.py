"""The dictionary: every word of both languages with its meaning, and the script that it is looked up in."""

from collections.abc import Iterator
from itertools import chain

from imageedit_server.providers.local.language.chinese import CHINESE
from imageedit_server.providers.local.language.colors import COLORS
from imageedit_server.providers.local.language.english import ENGLISH
from imageedit_server.providers.local.language.words import Kind, Meaning

_TRADITIONAL = str.maketrans(
    "調對飽鮮豔銳轉順時針鏡舊復複膚顏藍綠紅黃將圖讓變濃淺裡來點體強減邊處後還與並個們這張幅樣劃畫細節陰檢裝換"
    "黃褐灰銀質過暈頭髮臉頸鐵顆顛倒對稱項圓擦掃掉濾軟較極當顯著無請麼點發為與兩層應該機構補裁剪寬現場區選擇動保"
    "溫涼冷熱橫縱豎擺補標準數萬從開關",
    "调对饱鲜艳锐转顺时针镜旧复复肤颜蓝绿红黄将图让变浓浅里来点体强减边处后还与并个们这张幅样划画细节阴检装换"
    "黄褐灰银质过晕头发脸颈铁颗颠倒对称项圆擦扫掉滤软较极当显著无请么点发为与两层应该机构补裁剪宽现场区选择动保"
    "温凉冷热横纵竖摆补标准数万从开关",
)
_WIDE = {code + 0xFEE0: code for code in range(0x21, 0x7F)} | {
    0x3000: 0x20,
    0x2019: 0x27,
    0x2018: 0x27,
    0x3002: 0x2E,
}
_PLAIN = _TRADITIONAL | _WIDE


def _vocabulary() -> dict[str, Meaning]:
    colors = {name: Meaning(kind=Kind.COLOR, color=color) for name, color in COLORS.items()}
    words = ((word.strip(), meaning) for meaning, text in chain(ENGLISH, CHINESE) for word in text.split(","))
    return colors | {word: meaning for word, meaning in words if word}


VOCABULARY = _vocabulary()


def _lengths(keys: Iterator[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """For each first word, how long the phrases are that begin with it, longest first."""
    found: dict[str, set[int]] = {}
    for first, length in keys:
        found.setdefault(first, set()).add(length)
    return {first: tuple(sorted(lengths, reverse=True)) for first, lengths in found.items()}


LATIN_LENGTHS = _lengths((key.split(" ", 1)[0], key.count(" ") + 1) for key in VOCABULARY if key.isascii())
CJK_LENGTHS = _lengths((key[0], len(key)) for key in VOCABULARY if not key.isascii())


def simplified(prompt: str) -> str:
    """Return ``prompt`` in lower case, half width and simplified, each character where it was."""
    text = prompt.translate(_PLAIN)
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c if len(c.lower()) > 1 else c.lower() for c in text)
