"""What vendors write when they refuse content and have no code for it: whole words and known sentences.

In doubt a text is no refusal: "policy", "safety" and "moderate" alone are in messages about rates, TLS and
load, and a caller who is told to change his picture for those changes it in vain. Sources: VENDORS §8.
"""

import re

_SENTENCES = (
    # OpenAI, Azure
    r"safety_violations=",
    r"rejected by (the|our) safety system",
    r"(the|as a) result of our safety system",
    r"content management policy",
    # Qwen, Ark, Replicate, kie.ai
    r"may contain (inappropriate|sensitive|prohibited|unsafe|nsfw)",
    r"(flagged|detected|blocked|rejected|identified) (as|for|because of|due to) (being )?(potentially )?"
    r"(sensitive|nsfw|inappropriate|unsafe|harmful|explicit|violent|sexual)",
    r"contains? (inappropriate|sensitive|prohibited|unsafe) (information|data)",
    r"(sensitive|nsfw|inappropriate|prohibited|unsafe|explicit|sexual|pornographic|violent)"
    r" (content|words?|material|imagery)\b(?! type)",
    r"(fail(s|ed)?|(did|does|do) not pass) (to pass )?(the |our )?"
    r"((content |safety )?(moderation|review)|(content|safety) check)\b",
    r"content (was |is |has been )?(moderated|flagged|refused)",
    r"content[ _-](policy|moderation)[ _-](violation|blocked|refused|failed)",
    r"(rejected|flagged|blocked|refused) by (the |our |its )?(content |safety |image |prompt )?"
    r"(moderation|content filter|safety filter|content policy|usage policy|safety system)",
    r"(violat(es?|ed|ing)|(in )?violation of|against|breach(es)?) (the |our |its |[a-z]+'s )?"
    r"([a-z]+ ){0,4}(polic(y|ies)|terms of (use|service)|(community|content|safety|usage) guidelines)",
    r"\bnsfw\b",
    r"\bnudity\b|\bnude\b",
    r"copyright (restrictions?|infringement|violations?|protected)|copyrighted (content|material|character)",
    r"(prominent |public |famous )(public )?(figure|person|people)",
    r"\brisk control\b",
    r"\bE005\b",
    r"(could|can) ?not generate an image with the (given|provided) prompt"
    r".{0,60}please (adjust|change|modify)",
)
_CHINESE = (
    r"敏感(内容|词|信息|图)|(涉及|包含|含有|内容|图片|文本|提示词)敏感|违规"
    r"|审核(未|不|失败)|未通过.{0,6}审核|色情|涉黄|风控|不适宜"
)
_REFUSAL = re.compile("|".join((*_SENTENCES, _CHINESE)), re.IGNORECASE)

_OTHER_POLICIES = re.compile(
    r"\b(cors|rate|retry|retention|cache|network|security|bucket|access|referrer|origin)[ -]polic(y|ies)",
    re.IGNORECASE,
)
"""Policies that are about no content."""


def refuses_content(text: str) -> bool:
    """Whether a vendor's ``text`` says that its moderation refused the prompt or a picture."""
    return _REFUSAL.search(_OTHER_POLICIES.sub("", text)) is not None


_NO_MONEY = re.compile(
    r"exhausted balance|insufficient (account |user )?(balance|credits?|funds)"
    r"|(balance|credits?) (is |are )?(insufficient|exhausted|not enough)|not enough (balance|credits?)"
    r"|billing hard limit|account (is |has been )?(in arrears|overdue)|余额不足|欠费|额度不足",
    re.IGNORECASE,
)


def lacks_money(text: str) -> bool:
    """Whether a vendor's ``text`` says that the account there has no money left."""
    return _NO_MONEY.search(text) is not None
