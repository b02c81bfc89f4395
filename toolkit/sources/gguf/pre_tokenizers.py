"""How byte-level vocabularies of GGUF files cut a text before merging, by the names of llama.cpp.

The patterns are llama.cpp's (src/llama-vocab.cpp, MIT licence). A text is cut by each of them in turn; what
one leaves between its matches is a piece as well. Names that are missing here are refused: a wrong cut gives
other tokens than the model was trained on, and nobody would notice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PreTokenizer:
    """How a vocabulary is used.

    Attributes:
        patterns: cut a text by each in turn.
        ignore_merges: a piece that is a token is that token, whatever the merges say.
        adds_bos: texts begin with the first token unless the file says otherwise.
    """

    patterns: tuple[str, ...]
    ignore_merges: bool = False
    adds_bos: bool = False


_0 = r"[\p{P}\$\+<=>\^~\|]+"
_1 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_2 = r"\p{N}+"
_3 = r"[0-9][0-9][0-9]"
_4 = r"\p{N}{1,3}"
_5 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_6 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1"
    r",3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_7 = r"[\r\n]"
_8 = (
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-"
    r"ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ"
    r"-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)
_9 = r"\s?[!-/:-~！-／：-～‘-‟　-。&&[^\s]]+"
_10 = r"\s+$"
_11 = r"[一-龥ࠀ-一가-퟿&&[^\s]]+"
_12 = r"\s?\p{L}+"
_13 = r"\s?\p{P}+"
_14 = r"\p{N}"
_15 = r"[一-龥぀-ゟ゠-ヿ]+"
_16 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p"""
    r"{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_17 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p"""
    r"{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"
)
_18 = r"[\p{P}\$\+<=>\^~\|`]+"
_19 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1"
    r",3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}("
    r"?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"
)
_20 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| "
    r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_21 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|"
    r"\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_22 = r" ?[^(\s|.,!?…。，、।۔،)]+"
_23 = (
    r"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+|[^\r\n\p{L}\p{N}]?((?=[\p{L"
    r"}])([^a-z]))+((?=[\p{L}])([^A-Z]))*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|"
    r"\s+"
)
_24 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*"
    r"(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
)
_25 = r"<sentinel:[0-9]+>"
_26 = r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"
_27 = r"([\t\n]|    |  )"
_28 = r"[\p{P}!-/:-@\[-`{-~]"
_29 = (
    r"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+(?:'[sS]|'[tT]|'[rR][eE]|'[v"
    r"V][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]"
    r"))*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]"
    r"+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_30 = (
    r"[^\r\n\p{L}\p{N}]?((?=[\p{L}\p{M}])([^a-z]))*((?=[\p{L}\p{M}])([^A-Z]))+(?:'[sS]|'[tT]|'[r"
    r"R][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?((?=[\p{L}\p{M}])([^a-z]))+((?="
    r"[\p{L}\p{M}])([^A-Z]))*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,"
    r"3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_31 = r"(?=([0-9]{3})+(?![0-9]))"
_32 = (
    r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}"
    r"]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
_33 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1"
    r"}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_34 = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_35 = r"[^\n]+|[\n]+"
# llama.cpp cuts digits into threes from the right, and leaves what is before the first group with it.
_36 = r"\P{N}*\p{N}{1,3}?(?=(?:\p{N}{3})*(?!\p{N}))"
# It takes all kinds of letters for the same, so that none of its patterns tells upper from lower case.
_37 = (
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_38 = (
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_39 = r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"
_40 = r"[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"
_41 = (
    r"[一-鿿㐀-䶿𠀀-𪛟𪜀-𮯯豈-﫿丽-𯨟]+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^一-鿿㐀-䶿𠀀-𪛟𪜀-𮯯豈-﫿丽-𯨟]]+"
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_GROUPS: tuple[tuple[PreTokenizer, tuple[str, ...]], ...] = (
    (
        PreTokenizer(
            (
                _0,
                _1,
                _2,
                _3,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("default",),
    ),
    (
        PreTokenizer(
            (
                _4,
                _5,
            ),
            ignore_merges=True,
            adds_bos=False,
        ),
        ("minicpm5",),
    ),
    (
        PreTokenizer((_6,), ignore_merges=True, adds_bos=True),
        (
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ),
    ),
    (
        PreTokenizer(
            (
                _7,
                _8,
                _9,
                _10,
                _11,
                _2,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("deepseek-llm",),
    ),
    (
        PreTokenizer(
            (
                _7,
                _12,
                _13,
                _11,
                _14,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("deepseek-coder",),
    ),
    (
        PreTokenizer(
            (
                _4,
                _15,
                _16,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("deepseek-v3", "hunyuan-dense", "hy_v4", "joyai-llm"),
    ),
    (
        PreTokenizer(
            (
                _4,
                _15,
                _17,
                _14,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("spark2_5",),
    ),
    (
        PreTokenizer(
            (
                _18,
                _1,
                _3,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("falcon",),
    ),
    (
        PreTokenizer((_1,), ignore_merges=False, adds_bos=False),
        (
            "mpt",
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "olmo",
            "jais",
            "exaone4",
            "trillion",
            "granite-docling",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
        ),
    ),
    (
        PreTokenizer(
            (
                _14,
                _1,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"),
    ),
    (PreTokenizer((_19,), ignore_merges=False, adds_bos=False), ("jais-2",)),
    (
        PreTokenizer((_20,), ignore_merges=False, adds_bos=False),
        (
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "stablelm2",
            "megrez",
            "hunyuan",
            "grok-2",
            "solar-open",
        ),
    ),
    (PreTokenizer((_21,), ignore_merges=False, adds_bos=False), ("qwen35",)),
    (PreTokenizer((_6,), ignore_merges=False, adds_bos=False), ("dbrx", "smaug-bpe", "chatglm-bpe")),
    (PreTokenizer((_22,), ignore_merges=False, adds_bos=False), ("poro-chat", "bloom", "gpt3-finnish")),
    (PreTokenizer((_6,), ignore_merges=True, adds_bos=False), ("glm4", "glm5")),
    (
        PreTokenizer(
            (
                _22,
                _14,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("viking",),
    ),
    (PreTokenizer((_23,), ignore_merges=True, adds_bos=True), ("tekken",)),
    (PreTokenizer((_24,), ignore_merges=False, adds_bos=False), ("exaone-moe",)),
    (
        PreTokenizer(
            (
                _25,
                _26,
                _27,
                _14,
                _28,
                _1,
            ),
            ignore_merges=False,
            adds_bos=True,
        ),
        ("chameleon",),
    ),
    (
        PreTokenizer((_29,), ignore_merges=False, adds_bos=False),
        ("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"),
    ),
    (PreTokenizer((_30,), ignore_merges=True, adds_bos=False), ("granite-embed-multi-97m",)),
    (
        PreTokenizer(
            (
                _2,
                _31,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("superbpe",),
    ),
    (PreTokenizer((_32,), ignore_merges=False, adds_bos=False), ("bailingmoe", "bailingmoe2", "llada-moe")),
    (PreTokenizer((_33,), ignore_merges=False, adds_bos=False), ("seed-coder",)),
    (PreTokenizer((_34,), ignore_merges=False, adds_bos=False), ("ufakzeka",)),
    (
        PreTokenizer(
            (
                _35,
                _20,
            ),
            ignore_merges=False,
            adds_bos=False,
        ),
        ("laguna",),
    ),
    (PreTokenizer((_36, _37)), ("tiny_aya", "cohere2moe")),
    (PreTokenizer((_39, _38), ignore_merges=True), ("youtu",)),
    (PreTokenizer((_36, _40, _16)), ("afmoe",)),
    (PreTokenizer((_41,)), ("kimi-k2",)),
)
PRE_TOKENIZERS = {name: how for how, names in _GROUPS for name in names}
# What llama.cpp does with files of before the names.
UNNAMED = PRE_TOKENIZERS["default"]
