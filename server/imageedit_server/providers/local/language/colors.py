"""Colors by their names in English and Chinese."""

from PIL import ImageColor

from imageedit_server.providers.local.plan import RGB

_ENGLISH = """
amber ffbf00, apricot fbceb1, aqua 00b7c3, aubergine 472c4c, baby blue 89cff0, baby pink f4c2c2,
blond e6c98c, blonde e6c98c, blush e8b4b8, bordeaux 5c0120, brick b5523b, bronze cd7f32, burgundy 800020,
burnt orange cc5500, camel c19a6b, candy pink e4717a, caramel c68e4e, champagne f7e7ce, charcoal 36454f,
cherry d2042d, chestnut 954535, chocolate 7b3f00, cobalt 0047ab, cobalt blue 0047ab, coffee 6f4e37,
copper b87333, coral ff7f50, cream fffdd0, cyan 00b7eb, dusty pink d8a7b1, dusty rose dcae96, ecru c2b280,
eggplant 614051, emerald 2e9e6b, emerald green 2e9e6b, forest green 228b22, fuchsia d0349c, ginger b06500,
gold d4af37, golden d4af37, grape 6f2da8, green 2e9e3f, indigo 3f2b96, ivory fffff0, jade 00a86b,
khaki bdb37a, lavender b57edc, lemon fff44f, lilac c8a2c8, lime a4d037, mahogany c04000, maroon 800000,
mauve b784a7, mint 98e0b8, mint green 98e0b8, mocha 967969, mustard e1ad01, navy 1f2a5c, navy blue 1f2a5c,
nude e3bc9a, ochre cc7722, off white f8f4e8, olive 808000, olive green 6b7a2f, orange f58a1f, peach ffcba4,
pearl eae0c8, periwinkle 8f99fb, pine green 01796f, pink f090b0, plum 8e4585, purple 8a3fb0,
raspberry c72c5c, red d92b2b, rose e8607f, rose gold b76e79, royal blue 4169e1, ruby b3123f, rust b7410e,
sage 9caf88, salmon fa8072, sand d9c097, sapphire 0f52ba, scarlet ff2400, silver c0c0c0, sky blue 7ec0ee,
slate 708090, steel blue 4682b4, sunflower ffc512, tan d2b48c, taupe 8b7d6b, teal 008080, terracotta c8623f,
turquoise 40c8c0, violet 8000d0, wine 722f37, yellow f5d400, blue 2f6fde, brown 7a4a28, gray 808080,
grey 808080, magenta d9269c, beige e8dcc0, crimson dc143c, black 000000, white ffffff, reddish d92b2b,
bluish 2f6fde, greenish 2e9e3f, yellowish f5d400, pinkish f090b0, redder d92b2b, bluer 2f6fde,
greener 2e9e3f, yellower f5d400, pinker f090b0, purplish 8a3fb0, orangey f58a1f, brownish 7a4a28
"""

_CHINESE = """
红 d92b2b, 红色 d92b2b, 大红 e60012, 大红色 e60012, 正红 d7000f, 正红色 d7000f, 深红 8b1a1a, 深红色 8b1a1a,
暗红 8b1a1a, 暗红色 8b1a1a, 浅红 f08080, 浅红色 f08080, 酒红 722f37, 酒红色 722f37, 玫红 d6336c,
玫红色 d6336c, 玫瑰色 e8607f, 玫瑰红 d6336c, 玫瑰金 b76e79, 橘红 f0542d, 橘红色 f0542d, 朱红 ff4c00,
朱红色 ff4c00, 砖红 b5523b, 砖红色 b5523b, 粉红 f090b0, 粉红色 f090b0, 粉 f4a6c0, 粉色 f4a6c0, 浅粉 f9c9d8,
浅粉色 f9c9d8, 淡粉 f9c9d8, 淡粉色 f9c9d8, 裸粉 e8b4a8, 裸粉色 e8b4a8, 裸色 e3bc9a, 珊瑚色 ff7f50,
珊瑚红 ff7f50, 桃色 ffcba4, 桃红 f0568a, 桃红色 f0568a, 樱花粉 fbc8d5, 橙 f58a1f, 橙色 f58a1f, 橘色 f58a1f,
橘黄 ff9d2e, 橘黄色 ff9d2e, 橙黄 ffa500, 橙黄色 ffa500, 橙红 ff5a1f, 橙红色 ff5a1f, 黄 f5d400, 黄色 f5d400,
金黄 ffc512, 金黄色 ffc512, 浅黄 fff09a, 浅黄色 fff09a, 淡黄 fff09a, 淡黄色 fff09a, 鹅黄 fff143,
鹅黄色 fff143, 柠檬黄 fff44f, 姜黄 e1ad01, 姜黄色 e1ad01, 米黄 f5e6c4, 米黄色 f5e6c4, 土黄 b8860b,
土黄色 b8860b, 金 d4af37, 金色 d4af37, 香槟色 f7e7ce, 杏色 f3d9b8, 琥珀色 ffbf00, 绿 2e9e3f, 绿色 2e9e3f,
深绿 145a2a, 深绿色 145a2a, 浅绿 9bdc9b, 浅绿色 9bdc9b, 墨绿 0f4d3a, 墨绿色 0f4d3a, 军绿 5a6238,
军绿色 5a6238, 草绿 7cb342, 草绿色 7cb342, 翠绿 2fae66, 翠绿色 2fae66, 薄荷绿 98e0b8, 薄荷色 98e0b8,
橄榄绿 6b7a2f, 橄榄色 808000, 祖母绿 2e9e6b, 豆绿 9caf88, 青 00b7c3, 青色 00b7c3, 青绿 20b2aa,
青绿色 20b2aa, 蓝绿 0d98ba, 蓝绿色 0d98ba, 湖蓝 30b8d8, 湖蓝色 30b8d8, 蓝 2f6fde, 蓝色 2f6fde, 深蓝 14306e,
深蓝色 14306e, 浅蓝 a6d0f5, 浅蓝色 a6d0f5, 淡蓝 a6d0f5, 淡蓝色 a6d0f5, 天蓝 7ec0ee, 天蓝色 7ec0ee,
宝蓝 1f4fc0, 宝蓝色 1f4fc0, 海军蓝 1f2a5c, 藏青 1f2a5c, 藏青色 1f2a5c, 藏蓝 1f2a5c, 藏蓝色 1f2a5c,
靛蓝 3f2b96, 靛蓝色 3f2b96, 雾霾蓝 8fa6b8, 孔雀蓝 00759e, 克莱因蓝 002fa7, 牛仔蓝 4a6fa5, 紫 8a3fb0,
紫色 8a3fb0, 深紫 4b1a6e, 深紫色 4b1a6e, 浅紫 cdb0e8, 浅紫色 cdb0e8, 淡紫 cdb0e8, 淡紫色 cdb0e8,
紫罗兰 8000d0, 薰衣草紫 b57edc, 薰衣草色 b57edc, 香芋紫 b9a0d0, 紫红 a0307f, 紫红色 a0307f, 棕 7a4a28,
棕色 7a4a28, 深棕 4a2a14, 深棕色 4a2a14, 浅棕 b58a63, 浅棕色 b58a63, 褐色 6b4226, 咖啡色 6f4e37,
咖色 6f4e37, 驼色 c19a6b, 焦糖色 c68e4e, 卡其 bdb37a, 卡其色 bdb37a, 巧克力色 7b3f00, 古铜色 b87333,
小麦色 d9a066, 米色 f0e4cc, 米白 f8f4e8, 米白色 f8f4e8, 奶油色 fffdd0, 奶白 fff8ec, 奶白色 fff8ec,
象牙白 fffff0, 象牙色 fffff0, 白 ffffff, 白色 ffffff, 纯白 ffffff, 纯白色 ffffff, 雪白 ffffff, 黑 000000,
黑色 000000, 纯黑 000000, 纯黑色 000000, 灰 808080, 灰色 808080, 深灰 484848, 深灰色 484848, 浅灰 c8c8c8,
浅灰色 c8c8c8, 银灰 b8bcc0, 银灰色 b8bcc0, 炭灰 36454f, 银 c0c0c0, 银色 c0c0c0
"""

_SHADES: dict[str, tuple[RGB, float]] = {
    "light": ((255, 255, 255), 0.5),
    "lighter": ((255, 255, 255), 0.5),
    "pale": ((255, 255, 255), 0.6),
    "pastel": ((255, 255, 255), 0.55),
    "soft": ((255, 255, 255), 0.35),
    "baby": ((255, 255, 255), 0.5),
    "dark": ((0, 0, 0), 0.5),
    "darker": ((0, 0, 0), 0.5),
    "deep": ((0, 0, 0), 0.4),
    "bright": ((255, 255, 255), 0.0),
    "vivid": ((255, 255, 255), 0.0),
    "rich": ((0, 0, 0), 0.15),
    "warm": ((255, 180, 90), 0.15),
    "cool": ((90, 150, 255), 0.15),
    "dusty": ((150, 140, 135), 0.4),
    "neon": ((255, 255, 255), 0.0),
    "hot": ((255, 0, 90), 0.35),
}
"""A word before a color, and what it mixes in."""


def _listed(text: str) -> dict[str, RGB]:
    pairs = (entry.rsplit(maxsplit=1) for entry in text.split(","))
    return {name.strip(): _rgb(digits) for name, digits in pairs}


def _rgb(digits: str) -> RGB:
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def mix(color: RGB, other: RGB, share: float) -> RGB:
    """Blend ``share`` of ``other`` into ``color``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(color, other, strict=True))
    return red, green, blue


def _shaded(plain: dict[str, RGB]) -> dict[str, RGB]:
    return {
        f"{word} {name}": mix(color, other, share)
        for name, color in plain.items()
        for word, (other, share) in _SHADES.items()
    }


def _named() -> dict[str, RGB]:
    web = {
        name: _rgb(value.lstrip("#")) for name, value in ImageColor.colormap.items() if isinstance(value, str)
    }
    listed = _listed(_ENGLISH)
    web.pop("snow"), web.pop("linen"), web.pop("tomato")  # things on photos more often than colors
    return web | _shaded(listed) | listed | _listed(_CHINESE)


COLORS: dict[str, RGB] = _named()
"""Every name, in lower case, with single spaces."""
