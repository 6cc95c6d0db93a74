"""The Chinese words, in simplified characters: the lexer reads traditional ones as these."""

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
        "亮,变亮,调亮,提亮,加亮,增亮,打亮,照亮,明亮,亮堂,更亮,亮丽,亮化,高亮,补光,打光,加光,白皙,透亮,"
        "浅一点,浅一些,变浅,调浅",
    ),
    (act(Operation.BRIGHTNESS, region=Region.SKIN), "美白,嫩白,肤色变白,皮肤变白"),
    (act(Operation.BRIGHTNESS), "曝光不足,欠曝,偏暗"),
    (act(Operation.BRIGHTNESS, -1), "过曝,曝光过度,偏亮"),
    (act(Operation.BRIGHTNESS, -1, complaint=True), "暗,昏暗,灰暗,暗淡,阴暗"),
    (act(Operation.BRIGHTNESS, -1), "变暗,调暗,压暗,加暗,减暗,更暗,暗化,降亮,调黑,深一点,深一些,变深,调深"),
    (act(Operation.CONTRAST), "高对比,强对比,反差大"),
    (act(Operation.CONTRAST, -1), "柔和,低对比,更柔和,柔光"),
    (act(Operation.SATURATION), "鲜艳,艳丽,艳,浓郁,鲜明,鲜亮,饱满,更鲜艳,变鲜艳,色彩丰富,浓艳,靓丽,更饱和"),
    (act(Operation.SATURATION, -1), "清淡,素雅,淡雅,淡一点,淡一些,变淡,调淡,低饱和,不饱和"),
    (
        act(Operation.WARMTH),
        "暖,暖色,暖色调,暖调,暖光,暖黄,变暖,调暖,更暖,温暖,暖和,暖意,温馨,暖洋洋,暖阳,暖色系",
    ),
    (act(Operation.WARMTH, -1), "冷,冷色,冷色调,冷调,冷光,变冷,调冷,更冷,清冷,冷淡,凉,清凉,冷色系,冷感"),
    (act(Operation.WARMTH, complaint=True), "偏暖"),
    (act(Operation.WARMTH, -1, complaint=True), "偏冷"),
    (act(Operation.FADE), "褪色,做旧,哑光,胶片褪色"),
    (
        act(Operation.GRAYSCALE),
        "黑白,黑白色,黑白照,黑白照片,黑白化,黑白效果,灰度,灰度图,灰阶,单色,去色,去除颜色,去掉颜色,"
        "去掉色彩,去除色彩,灰白,变灰,无色,褪成黑白",
    ),
    (act(Operation.SEPIA), "怀旧,复古,老照片,旧照片,泛黄,棕褐色,褐色调,深褐色,古旧,年代感,仿古"),
    (
        act(Operation.INVERT),
        "反色,反相,负片,底片,反转颜色,颜色反转,反转色彩,色彩反转,反转,底片效果,负片效果",
    ),
    (act(Operation.VIGNETTE), "暗角,加暗角,晕影,压暗四周,压暗四角,四周变暗,四角变暗,四周压暗,四角压暗"),
    (act(Operation.BLUR), "虚化,柔化,变模糊,朦胧,柔焦,平滑,光滑,高斯模糊,失焦,模糊化,细腻,光滑细腻"),
    (act(Operation.BLUR, region=Region.SKIN), "磨皮,美肤"),
    (act(Operation.BLUR, complaint=True), "模糊,糊"),
    (act(Operation.SHARPEN), "不清晰,不清楚,不够清晰,不够清楚,不够锐利"),
    (act(Operation.SHARPEN), "锐化,清晰,清晰化,更清晰,变清晰,清楚,锐利,锐,去模糊,去除模糊,清晰锐利,高清"),
    (act(Operation.FLIP), "翻转,镜像,对调,翻面,镜面,反转左右"),
    (
        act(Operation.FLIP, axis=Axis.HORIZONTAL),
        "水平翻转,左右翻转,水平镜像,左右镜像,左右对调,横向翻转,左右颠倒,左右反转,水平反转",
    ),
    (
        act(Operation.FLIP, axis=Axis.VERTICAL),
        "垂直翻转,上下翻转,垂直镜像,上下镜像,上下对调,纵向翻转,竖直翻转,上下反转,垂直反转",
    ),
    (act(Operation.ROTATE), "旋转,转动,旋,倾斜"),
    (act(Operation.ROTATE, number=180), "倒过来,颠倒,上下颠倒,倒置,倒转"),
    (act(Operation.CROP), "裁剪,裁切,裁成,裁,剪裁,缩放,缩放到,调整尺寸,调整大小,比例"),
    (act(Operation.ERASE), "填补,修补,智能填充,内容识别填充,补全,抹平"),
)

_QUALITIES: Entries = (
    (quality(Operation.BRIGHTNESS), "亮度,加亮度,调亮度,提亮度,减亮度,曝光,曝光度,明度,光线,光亮度,明亮度"),
    (quality(Operation.CONTRAST), "对比度,对比,反差"),
    (quality(Operation.SATURATION), "饱和度,饱和,鲜艳度,色彩饱和度,颜色饱和度,自然饱和度,艳度,色彩浓度"),
    (quality(Operation.WARMTH), "色温,暖度,温度"),
    (quality(Operation.SHARPEN), "清晰度,锐度,锐利度"),
    (quality(Operation.BLUR), "模糊度"),
    (just(Kind.HUES), "颜色,色彩,色"),
    (just(Kind.TINT, verb=True), "染成,染上,染,上色,着色,染色,涂上"),
    (just(Kind.TINT), "色调,色偏,偏色,滤镜,叠加,色相,调子"),
    (just(Kind.PAINT, verb=True), "填充,填成,填满,填上,涂成,填,涂,涂抹,涂满,覆盖,填充为,填充成"),
)

_VERBS: Entries = (
    (
        just(Kind.REMOVE, verb=True),
        "摘掉,摘下,脱掉,去掉,去除,移除,删除,删掉,消除,擦除,擦掉,抹掉,抹去,清除,除去,除掉,消掉,移走,拿掉,"
        "消去,擦去,祛除,祛,修掉",
    ),
    (just(Kind.ADD, verb=True), "加,加上,加入,增添,添加,添,来,带,多加,加点,再加,带有,加个,加一个"),
    (
        direction(1, verb=True),
        "增加,提高,加强,增强,提升,加大,调高,拉高,增大,强化,加深,加重,上调,升高,加厚,放大,改善,增",
    ),
    (
        direction(1),
        "更,更加,高,强,多些,多一点,多一些,高一点,高一些,强一点,强一些,往上,浓,浓一点,浓一些,大一点,大一些",
    ),
    (
        direction(-1, verb=True),
        "降低,减少,减弱,调低,减小,削弱,减低,下调,压低,弱化,减轻,降,减,拉低,降下,缩小",
    ),
    (direction(-1, verb=True, number=0.5), "减半"),
    (direction(1, verb=True, number=1.0), "加倍,翻倍,翻一番"),
    (
        direction(-1),
        "低,少,弱,少些,少一点,少一些,低一点,低一些,弱一点,弱一些,不那么,没那么,别那么,不要那么,别这么,"
        "不要这么,往下,小一点,小一些",
    ),
    (
        just(Kind.DO, verb=True),
        "调整,调,使,让,令,变成,变得,变,改成,改为,改,做成,做,弄成,弄,处理,处理成,转成,转换成,转换为,转为,"
        "换成,设为,设置为,设置,设成,调成,调整为,调整成,使用,用,搞成,生成,呈现,制作,制作成,把它变成,弄得",
    ),
    (just(Kind.DO), "要,想要,需要,想,希望,应该,成,是,看起来,看上去,显得,变化,做一下,走,呈,得"),
    (just(Kind.TURN, verb=True), "转,转向,扭,调转"),
    (just(Kind.STATE, number=LITTLE), "有点,有些,有点儿,有一点,有一些,略显"),
    (just(Kind.STATE), "比较偏,偏,拍得"),
    (just(Kind.TOO), "太,过于,过分,过度,太过"),
    (just(Kind.LACKING), "不够,不足,缺乏,缺少,欠缺"),
    (
        just(Kind.NOT, verb=True),
        "不要,别,勿,不用,无需,不需要,不能,不可,不可以,避免,禁止,切勿,请勿,不必,不改变,不想,不想要,没有,没,"
        "无,不,不会,不许,不得,而不是,不是,不太,不要太,别太,不能太,不要改变,别改变,不应,不应该,甭,不希望,"
        "不加,不做,不改",
    ),
    (just(Kind.KEEP, verb=True), "保持,保留,维持"),
    (just(Kind.KEEP), "不变,原样,别动,不动,不要动,照旧,保持不变,维持不变,不受影响"),
    (
        just(Kind.BLOCK, verb=True),
        "换,戴,穿,戴上,穿上,替换,更换,替换成,替换为,放,放上,放在,摆,画,画上,写,写上,换上,换装,穿着,戴着,"
        "抠图,抠出,扩图,合成,移动,拼接,插入,长出,加长,变瘦,瘦脸,换脸,修身,拉长",
    ),
)

_AMOUNTS: Entries = (
    (strength(HINT, after=True), "一点点,一丢丢,一丝,一丢,一丝丝,那么一点点"),
    (strength(HINT), "微微,轻微,极其轻微"),
    (strength(LITTLE, after=True), "一点,一点儿,一些,些,点,点儿,那么一点,少许,一下下,些许"),
    (strength(LITTLE), "稍微,稍,稍稍,略微,略,小幅,小幅度,轻轻,适当,适度,稍许,轻度,淡淡,微,浅浅"),
    (strength(FAIRLY), "比较,较,适中,中等,中度"),
    (strength(MUCH, after=True), "很多,许多,得多,好多,不少,多,多多"),
    (
        strength(MUCH),
        "大幅,大幅度,非常,很,明显,显著,强烈,大大,特别,十分,相当,狠狠,重度,高度,用力,大量,好,挺,深深",
    ),
    (strength(EXTREME), "极,极其,极度,极为,超,超级,最大,完全,彻底,最大程度,极大,巨"),
    (Meaning(kind=Kind.PERCENT, number=0.5), "一半,半"),
    (Meaning(kind=Kind.PERCENT, number=1.0), "一倍"),
)

_WAYS: Entries = (
    (Meaning(kind=Kind.WAY, way=Way.LEFT), "向左,往左,左,朝左,左转,左旋,向左转,往左转"),
    (Meaning(kind=Kind.WAY, way=Way.RIGHT), "向右,往右,右,朝右,右转,右旋,向右转,往右转"),
    (Meaning(kind=Kind.WAY, way=Way.CLOCKWISE), "顺时针,顺时针方向,顺时"),
    (Meaning(kind=Kind.WAY, way=Way.COUNTERCLOCKWISE), "逆时针,逆时针方向,反时针,逆时"),
    (Meaning(kind=Kind.WAY, way=Way.HORIZONTAL), "水平,左右,横向,水平方向,左右方向"),
    (Meaning(kind=Kind.WAY, way=Way.VERTICAL), "垂直,上下,纵向,竖直,垂直方向,上下方向,竖向"),
    (just(Kind.SIZE, text="1:1"), "正方形,方形,方图,一比一"),
    (just(Kind.SIZE, text="4:3"), "四比三"),
    (just(Kind.SIZE, text="3:4"), "三比四"),
    (just(Kind.SIZE, text="16:9"), "十六比九"),
    (just(Kind.SIZE, text="9:16"), "九比十六"),
)

_REGIONS: Entries = (
    (Meaning(kind=Kind.REGION, region=Region.SKIN), "肤色,皮肤,肌肤,肤质,肤,皮肤颜色,皮肤色,肌肤颜色"),
    (
        Meaning(kind=Kind.REGION, region=Region.SKIN, text="face"),
        "脸,脸部,面部,面容,脸色,脸颊,脸蛋,手臂,手部,腿部,脖子,面色,额头",
    ),
    (Meaning(kind=Kind.REGION, region=Region.SHADOWS), "暗部,阴影,阴影部分,暗处,暗部细节"),
    (Meaning(kind=Kind.REGION, region=Region.HIGHLIGHTS), "高光,亮部,高光部分,亮处"),
    (
        just(Kind.PICTURE),
        "照片,图片,图像,相片,画面,图,它,整体,全图,全部,整张,整张图,整张照片,整幅,整体画面,整个画面,其他,"
        "其它,其余,其他部分,其余部分,其他地方,原图,人像照,人像,写真,全局",
    ),
    (
        just(Kind.MASKED),
        "选区,遮罩,蒙版,区域,选中区域,涂抹区域,选中部分,遮罩区域,蒙版区域,透明区域,这个区域,空白处,选定区域",
    ),
    (just(Kind.INSIDE), "里的,中的,里面的,上的"),
    (just(Kind.BESIDE), "周围,旁边,附近,后面,边上"),
)

_SMALL: Entries = (
    (just(Kind.BREAK, text="and"), "并,并且,和,与,及,以及,还有,同时,而且,且,跟,还要,外加,另外,加之"),
    (just(Kind.BREAK, text="or"), "或,或者,或是,也不要,也别,也不"),
    (
        just(Kind.BREAK, text="then"),
        "然后,接着,最后,但,但是,不过,然而,之后,随后,首先,其次,先,后,而,只是,接下来,可是,再把,再将,另,以后,"
        "以及再",
    ),
    (just(Kind.SOFT), "再,又,也,还,也要"),
    (just(Kind.LEVEL), "到,至,为"),
    (just(Kind.PURPOSE), "为了,以便,因为,由于,好像,就像,像,如同,似的,以适合,适合,以使"),
    (just(Kind.ARTICLE), "整个,所有,所有的,一个,一种,一层,一道,一圈,个,一张,一幅"),
    (
        just(Kind.NEUTRAL),
        "效果,风格,感觉,氛围,风,感,质感,自然,自然一点,自然一些,好看,均匀,真实,专业,程度,质量,画质,样子,"
        "状态,层次,细节,修图,修,光泽,通透,清新,高级,高级感,漂亮,方向,角度,尺寸,大小,版,版本,气色,气质",
    ),
    (
        just(Kind.FILLER),
        "请,麻烦,帮我,帮忙,帮,给我,给,把,将,的,地,了,吧,呢,啊,呀,哦,一下,下,我,你,您,我的,你的,这张,这,那,"
        "那么,这个,那个,谢谢,你好,您好,可以,能,能否,能不能,可否,都,也都,一并,只,就,对,对于,在,里,中,上,"
        "进行,整张的,不仅,不但,不光,不要忘记,别忘了,不要忘了,起来,去,来点,请帮我,往,向,朝,方,被,以,按,"
        "按照,吗,点击,一起,统统,略加,予以,加以,的话,即可,过来,色系,由,从,通过,一次",
    ),
    (
        just(Kind.UNKNOWN),
        "月亮,漂亮点,闪亮,响亮,苍白,空白,明白,洁白,眼白,蛋白,保暖,白天,黑夜,黑眼圈,口红,腮红,网红,和服,"
        "和平,和谐,亮片,暖气,冷气,冷饮,冷漠,红酒杯,白酒,黄瓜,黄油,黑板,白板,红包,绿植,绿叶,草地,天空,背景,"
        "头发,黑发,白发,金发,红唇,白衬衫,黑裙,白裙,红裙,黑裤,黑衣,白衣,红衣,衣服,裙子,裤子,鞋子,上衣,外套,"
        "帽子,眼镜,模特,人物,女孩,男孩,她,他,眼睛,嘴唇,牙齿,地图,图案,图书,图标,加油,转身,转头,向上,低头,"
        "抬头,高跟鞋,高领,高腰,低腰,低领,多云,左手,右手,左边,右边,左侧,右侧,上面,下面,上方,下方,中间,亮点,"
        "水平线,地平线,对面,对象,色情,点心,地点,优点,缺点,地面,地板,去年,以前",
    ),
)

CHINESE: Entries = _ACTS + _QUALITIES + _VERBS + _AMOUNTS + _WAYS + _REGIONS + _SMALL
