"""The English words. Phrases win over the words in them; order does not matter."""

from imageedit_server.providers.local.language.words import (
    EXTREME,
    FAIRLY,
    HINT,
    LITTLE,
    MUCH,
    Entries,
    Kind,
    Meaning,
    Way,
    act,
    direction,
    just,
    quality,
    strength,
)
from imageedit_server.providers.local.plan import Axis, Operation, Region

_ACTS: Entries = (
    (
        act(Operation.BRIGHTNESS),
        "bright, brighter, brighten, brightens, brightened, brightening, brighten up, lighten, lightens,"
        "lightened, lightening, lighten up, lighter, more light, add light, add some light,"
        "add more light, light up, illuminate, bright and airy, light and airy, overexpose, fairer,"
        "whiten, whitening, whiter",
    ),
    (act(Operation.BRIGHTNESS, complaint=True), "overexposed, washed out, blown out"),
    (act(Operation.BRIGHTNESS, -1, complaint=True), "dark, dim, underexposed, gloomy"),
    (
        act(Operation.BRIGHTNESS, -1),
        "darker, darken, darkens, darkened, darkening, dimmer, dimmed, dimming, less light, underexpose",
    ),
    (
        act(Operation.CONTRAST),
        "contrasty, punchy, punchier, crisp contrast, sharp contrast, sharper contrast, strong contrast,"
        "stronger contrast, high contrast, higher contrast, bold contrast, dramatic contrast",
    ),
    (
        act(Operation.CONTRAST, -1),
        "low contrast, lower contrast, soft light, softer light, soft lighting, softer lighting,"
        "soft contrast, softer contrast, soften contrast, soften the contrast",
    ),
    (act(Operation.CONTRAST, -1, complaint=True), "flat, flatter"),
    (
        act(Operation.SATURATION),
        "vivid, vivider, more vivid, vibrant, colorful, colourful, saturate, saturated, saturating,"
        "oversaturate, rich colors, richer colors, rich colours, richer colours, bright colors,"
        "brighter colors, bright colours, brighter colours, vivid colors, vivid colours, colors pop,"
        "colours pop, pop of color, pop of colour",
    ),
    (
        act(Operation.SATURATION, -1),
        "desaturate, desaturated, desaturating, desaturation, undersaturated, muted, mute,"
        "mute the colors, mute the colours, muted colors, muted colours, pale, paler, pastel colors,"
        "pastel colours",
    ),
    (act(Operation.SATURATION, -1, complaint=True), "dull, duller"),
    (
        act(Operation.WARMTH),
        "warm, warmer, warming, warmed, warm up, warms up, warm color, warm colors, warm colour,"
        "warm colours, warmer colors, warmer colours, warm light, warmer light, warm lighting, warm tone,"
        "warm tones, warmer tone, warmer tones, warm glow, cozy, golden light, golden glow, sunny",
    ),
    (act(Operation.WARMTH, -1, complaint=True), "cold, colder, chilly"),
    (
        act(Operation.WARMTH, -1),
        "cool, cooler, cooling, cooled, cool down, cools down, cool color, cool colors, cool colour,"
        "cool colours, cooler colors, cooler colours, cool light, cooler light, cool lighting, cool tone,"
        "cool tones, cooler tone, cooler tones, cold tone, cold tones, cold light, icy",
    ),
    (act(Operation.FADE), "fade, faded, fading, matte, washed out look, faded film"),
    (
        act(Operation.GRAYSCALE),
        "black and white, black & white, black white, black n white, white and black, b & w, b / w, bw,"
        "bnw, grayscale, greyscale, gray scale, grey scale, monochrome, monochromatic, noir, colorless,"
        "colourless, decolorize, decolor, in black and white, without color, without colour,"
        "without any color, without any colour, without colors, without colours, no color, no colour,"
        "no colors",
    ),
    (
        act(Operation.SEPIA),
        "sepia, sepia tone, sepia toned, vintage, retro, nostalgic, old fashioned, old timey, antique,"
        "aged, old photo, old photograph, old picture",
    ),
    (
        act(Operation.INVERT),
        "invert, inverts, inverted, inverting, inversion, invert colors, invert colours,"
        "invert the colors, invert the colours, inverted colors, inverted colours, negative,"
        "photo negative, color negative, colour negative, solarize, reverse the colors,"
        "reverse the colours, reverse colors, reverse colours",
    ),
    (
        act(Operation.VIGNETTE),
        "vignette, vignettes, vignetting, darken the edges, darken the corners, darken edges,"
        "darken corners, darker edges, darker corners, dark edges, dark corners",
    ),
    (
        act(Operation.BLUR),
        "blur, blurs, blurring, blurrier, defocus, defocused, soft focus, soften, softens, softening,"
        "softer, smooth, smoothen, smoother, smoothing, gaussian blur, fuzzy",
    ),
    (act(Operation.BLUR, complaint=True), "blurry, unsharp, blurred, out of focus"),
    (
        act(Operation.SHARPEN),
        "sharp, sharper, sharpen, sharpens, sharpened, sharpening, sharpen up, crisp, crisper, crispen,"
        "clearer, deblur, unblur, de blur, unsharp mask, in focus, more detail, more details,"
        "more detailed",
    ),
    (
        act(Operation.FLIP),
        "flip, flips, flipped, flipping, mirror, mirrors, mirrored, mirroring, mirror image, flip over",
    ),
    (
        act(Operation.FLIP, axis=Axis.VERTICAL),
        "flip upside down, flip it upside down, flip top to bottom, flip up down, flip it over vertically",
    ),
    (act(Operation.ROTATE), "rotate, rotates, rotated, rotating, rotation, spin, tilt, tilted, tilting"),
    (act(Operation.ROTATE, number=180), "upside down, turn around, turn it around, half turn"),
    (act(Operation.ROTATE, number=90), "quarter turn"),
    (
        act(Operation.CROP),
        "crop, crops, cropped, cropping, resize, resized, resizing, aspect ratio, trim, scale",
    ),
    (
        act(Operation.ERASE),
        "inpaint, fill in, fill it in, content aware fill, heal, retouch out, paint out, paint it out,"
        "clone out",
    ),
)

_QUALITIES: Entries = (
    (
        quality(Operation.BRIGHTNESS),
        "brightness, exposure, luminosity, luminance, lightness, lighting, glow, gamma",
    ),
    (quality(Operation.CONTRAST), "contrast, contrasts, punch"),
    (quality(Operation.SATURATION), "saturation, vibrance, vibrancy, vividness, colorfulness, chroma"),
    (quality(Operation.WARMTH), "warmth, temperature, color temperature, colour temperature, warmness"),
    (quality(Operation.SHARPEN), "sharpness, clarity, crispness, definition"),
    (quality(Operation.BLUR), "blurriness, softness, fuzziness"),
    (just(Kind.HUES), "color, colour, colors, colours, coloring, colouring, coloration"),
    (
        just(Kind.TINT, verb=True),
        "tints, tinted, tinting, colorize, colourize, recolor, recolour, dye, dyed",
    ),
    (
        just(Kind.TINT),
        "tint, hue, hues, cast, color cast, colour cast, overlay, wash, color filter, colour filter,"
        "color tint, colour tint",
    ),
    (
        just(Kind.PAINT, verb=True),
        "fill, fills, filled, filling, paint over, cover, covered, fill up, flood",
    ),
)

_VERBS: Entries = (
    (
        just(Kind.REMOVE, verb=True),
        "remove, removes, removed, removing, removal, erase, erases, erased, erasing, delete, deleted,"
        "deleting, get rid of, take away, take off, taking off, take out, eliminate, wipe, wipe out,"
        "wipe away, clear away, edit out, clean away, strip, drop",
    ),
    (just(Kind.ADD, verb=True), "add, adds, added, adding, apply, applying, bring, introduce, inject"),
    (
        direction(1, verb=True),
        "increase, increases, increased, increasing, raise, raised, raising, boost, boosted, boosting,"
        "enhance, enhanced, enhancing, turn up, bring up, dial up, crank up, pump up, bump up, bump, push,"
        "lift, lifted, lifting, improve, improved, improving, intensify, strengthen, amplify, bring out,"
        "maximize, open up, ramp up",
    ),
    (direction(1, verb=True, number=1.0), "double, doubled, doubling"),
    (
        direction(-1, verb=True),
        "reduce, reduces, reduced, reducing, decrease, decreases, decreased, decreasing, turn down,"
        "bring down, dial down, dial back, tone down, cut, cut down, diminish, minimize, weaken, lowering,"
        "lowered, pull down, take down, pull back, tame, calm, calm down, knock down, scale back",
    ),
    (direction(-1, verb=True, number=0.5), "halve, halved, halving"),
    (direction(-1), "not so, not as, lower, low, less, fewer, down, minus, weaker, decreased amount of"),
    (
        direction(1),
        "more, up, higher, high, stronger, greater, extra, plus, richer, even more, some more, better",
    ),
    (
        just(Kind.DO, verb=True),
        "make, makes, making, made, set, sets, setting, change, changes, changed, changing, convert,"
        "converted, converting, transform, adjust, adjusting, adjusted, render, let, give, gives, gave,"
        "giving, have, put it, turn into, turn it into, use, using, do, get, turned into, try, see,"
        "create a, process",
    ),
    (
        just(Kind.DO),
        "want, need, needs, like it, like this, look like, look more like, looking, be, become,"
        "becoming, feels like, feel like, i want, i need, we want, we need, i would like,"
        "would like, should, should be, could be, can be, must, must be, needs to be, go, going, appear,"
        "shall",
    ),
    (just(Kind.TURN, verb=True), "turn, turns, turned, turning"),
    (
        just(Kind.STATE),
        "is, are, was, looks, seems, appears, came out, comes out, it's, that's, picture's, photo's",
    ),
    (
        just(Kind.TOO),
        "too, overly, excessively, too much, way too, far too, much too, a bit too, a little too, bit too",
    ),
    (
        just(Kind.LACKING),
        "lacks, lacking, not enough, insufficient, insufficiently, lack of, needs more, could use more",
    ),
    (just(Kind.ENOUGH), "enough"),
    (
        just(Kind.NOT, verb=True),
        "don't, dont, do not, does not, doesn't, no, not, never, without, avoid, avoiding, neither, nor,"
        "won't, must not, mustn't, should not, shouldn't, cannot, can't, isn't, aren't, stop, skip,"
        "refrain from, instead of, rather than, but not, and not, anything but, don't make, do not make,"
        "no need to, no longer, minus the",
    ),
    (
        just(Kind.KEEP, verb=True),
        "keep, keeps, keeping, kept, preserve, preserves, preserving, maintain, maintaining, maintains,"
        "leave, leaving, retain, retaining",
    ),
    (
        just(Kind.KEEP),
        "unchanged, untouched, the same, intact, as is, as it is, as they are, same, unaltered, alone",
    ),
    (
        just(Kind.BLOCK, verb=True),
        "wear, wears, wearing, replace, replaces, replacing, replaced, swap, swapping, put, puts, putting,"
        "placing, insert, inserting, draw, drawing, generate, generating, write, writing, create,"
        "creating, dressed, dressing, move, moving, hold, holding, open, close, undress, extend, expand,"
        "outpaint, cut out, crop out, isolate, extract, combine, merge, animate, look cool, looks cool,"
        "looking cool",
    ),
)

_AMOUNTS: Entries = (
    (
        strength(HINT),
        "barely, a hint, a hint of, hint of, a touch, a touch of, touch of, a tad, tad, a tiny bit,"
        "tiny bit, a pinch of, a dash of, very slightly, ever so slightly, a teeny bit, just a bit,"
        "just a little, just a touch, just slightly, just a tad, just a hint",
    ),
    (
        strength(LITTLE),
        "a bit, a bit of, bit of, a little, a little bit, a little bit of, little bit, little, bit,"
        "slightly, slight, somewhat, subtle, subtly, mild, mildly, gentle, gently, softly, lightly,"
        "a light, kind of, sort of, minor, modestly, modest, partially, delicate, delicately, not much",
    ),
    (strength(FAIRLY), "fairly, rather, moderately, moderate, reasonably"),
    (
        strength(MUCH),
        "much, very, a lot, a lot of, lots, lots of, strongly, strong, heavily, heavy, considerably,"
        "significantly, significant, noticeably, noticeable, really, far, greatly, way, plenty of,"
        "quite a bit, a great deal, dramatic, dramatically, deeply, intense, intensely, drastically, big,"
        "clearly, hard, serious, seriously, so much",
    ),
    (
        strength(EXTREME),
        "extremely, extreme, super, ultra, massively, massive, hugely, huge, insanely, very very,"
        "very much, incredibly, completely, fully, totally, to the max, all the way, maximum,"
        "as much as possible",
    ),
    (Meaning(kind=Kind.PERCENT, number=0.5), "half, by half, by a half, half as"),
    (Meaning(kind=Kind.PERCENT, number=0.25), "a quarter, by a quarter"),
    (Meaning(kind=Kind.PERCENT, number=0.33), "a third, by a third"),
    (Meaning(kind=Kind.PERCENT, number=1.0), "twice, twice as, twice the"),
)

_WAYS: Entries = (
    (Meaning(kind=Kind.WAY, way=Way.LEFT), "left, leftwards, to the left, leftward"),
    (Meaning(kind=Kind.WAY, way=Way.RIGHT), "right, rightwards, to the right, rightward"),
    (Meaning(kind=Kind.WAY, way=Way.CLOCKWISE), "clockwise, cw, clock wise"),
    (
        Meaning(kind=Kind.WAY, way=Way.COUNTERCLOCKWISE),
        "counterclockwise, counter clockwise, anticlockwise, anti clockwise, ccw, counter clock wise",
    ),
    (
        Meaning(kind=Kind.WAY, way=Way.HORIZONTAL),
        "horizontal, horizontally, left to right, left right, left and right, sideways",
    ),
    (
        Meaning(kind=Kind.WAY, way=Way.VERTICAL),
        "vertical, vertically, top to bottom, up down, top bottom, up and down",
    ),
    (just(Kind.SIZE, text="1:1"), "square, a square, square format"),
)

_REGIONS: Entries = (
    (
        Meaning(kind=Kind.REGION, region=Region.SKIN),
        "skin, skin tone, skin tones, skintone, skin color, skin colour, complexion, skin area, skin areas",
    ),
    (
        Meaning(kind=Kind.REGION, region=Region.SKIN, text="face"),
        "face, faces, hands, arms, legs, neck, cheeks, forehead",
    ),
    (
        Meaning(kind=Kind.REGION, region=Region.SHADOWS),
        "shadows, dark areas, dark parts, darks, dark tones, shadow areas, darker areas, darker parts",
    ),
    (
        Meaning(kind=Kind.REGION, region=Region.HIGHLIGHTS),
        "highlights, bright areas, bright parts, brights, light areas, light tones, brighter areas,"
        "brighter parts",
    ),
    (
        just(Kind.PICTURE),
        "it, photo, photos, photograph, picture, image, images, pic, shot, snapshot, portrait, everything,"
        "everywhere, canvas, frame, scene, selfie, everything else, anything else, the rest, the others,"
        "rest, the whole thing, the entire thing, file",
    ),
    (
        just(Kind.MASKED),
        "masked area, masked region, masked part, mask, selection, selected area, selected region,"
        "selected part, area, region, transparent area, marked area, hole",
    ),
    (just(Kind.INSIDE), "in, of, from, within, inside"),
    (
        just(Kind.BESIDE),
        "on, at, around, near, behind, under, over, above, below, beside, between, along, across",
    ),
)

_SMALL: Entries = (
    (just(Kind.BREAK, text="and"), "and, &, also, as well as, plus also, and also, while, whilst, +"),
    (just(Kind.BREAK, text="or"), "or, and or"),
    (
        just(Kind.BREAK, text="then"),
        "then, and then, but, however, after that, afterwards, next, finally, yet, lastly, first, firstly,"
        "second, secondly, third, thirdly, instead, though, although, except, and finally, but also, step,"
        "additionally",
    ),
    (just(Kind.SOFT), "with, along with, together with, by adding, by making"),
    (
        just(Kind.PURPOSE),
        "for, because, since, so, so that, in order to, as if, as though, like, which, who, when, where,"
        "until, than, as, to make, to let, to look, to give, to get, than before, that's why",
    ),
    (
        just(Kind.ARTICLE),
        "a, an, the, some, my, our, your, any, all, whole, entire, all of, all the, every, its",
    ),
    (just(Kind.LEVEL), "to"),
    (just(Kind.THIS), "this, that, these, those"),
    (
        just(Kind.NEUTRAL),
        "look, feel, mood, style, styled, effect, effects, vibe, vibes, finish, atmosphere, filter, tone,"
        "tones, toned, tonality, shade, natural, naturally, nice, nicely, nicer, beautiful, beautifully,"
        "professional, pretty, professionally, smoothly, evenly, even, properly, proper, good, great,"
        "perfect, perfectly, quality, overall, more natural, image quality, level, levels, amount,"
        "amounts, value, values, intensity, balance, appearance, aesthetic, film, edit, edits, editing,"
        "edited, version, fresh, correct, correctly, right side up, treatment, photography, angle, ratio,"
        "format, size, axis, direction, point, points, only, fit, detail, details",
    ),
    (
        just(Kind.FILLER),
        "fix, fix it, please, pls, plz, kindly, thanks, thank you, thx, hello, hi, hey, can you,"
        "could you, would you, will you, can we, could we, i, we, you, me, us, just, into, by, about,"
        "around about, approximately, roughly, still, again, now, here, there, up a notch, out,"
        "down a notch, again please, one, ones, be sure to, make sure, make sure to, make sure that,"
        "ensure, ensure that, not only, more or less, why not, why don't you, don't forget,"
        "don't forget to, do not forget to, don't hesitate to, both, each, ok, okay, well, maybe, perhaps,"
        "actually, basically, simply, bit by bit, let's, lets, that is, also please, at the same time,"
        "if possible, too please, back, away, off, through, do it, done, them, a notch, if you can,"
        "want to, need to, like to, i'd, i'd like, i'd like to, i would like to, i want to,"
        "i'd like you to, i want you to",
    ),
    (
        just(Kind.UNKNOWN),
        "sharp dressed, bright eyed, light weight, right hand, left hand, light bulb, bright side",
    ),
)

ENGLISH: Entries = _ACTS + _QUALITIES + _VERBS + _AMOUNTS + _WAYS + _REGIONS + _SMALL
