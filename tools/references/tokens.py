"""Writes test/references/tokens.json and the two tokenizers in test/references/tokenizers/.

Ids and offsets are those of the Rust library that all of Hugging Face uses, by way of Python; offsets are converted
from code points to UTF-16 code units, which is what editors and JavaScript count.
"""

import json
from itertools import accumulate

from reference import ROOT, write
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = ROOT / "test/references/tokenizers"
FILES = (
    "media/models/llama/tokenizer.json",
    "test/references/tokenizers/byte-level.json",
    "test/references/tokenizers/sentencepiece.json",
)
VOCABULARY = 700

STRINGS = {
    "empty": "",
    "words": "The lamp was lit. The door was shut.",
    "one space": " ",
    "spaces": "  two  leading, two inside, two trailing  ",
    "tabs": "a\tb\t\tc",
    "LF": "one\ntwo\n\nthree\n",
    "CRLF": "one\r\ntwo\r\n\r\nthree\r\n",
    "code": "for (let i = 0; i < 10; i++) {\n\treturn x[i] !== 'ß';\n}",
    "numbers": "1234567890 3.14159 1e-5 ½",
    "accents": "naïve café, Ærøskøbing, Łódź",
    "combining marks": "e\u0301te\u0301 a\u0308o\u0308 \u1e9b\u0323",
    "Greek and Cyrillic": "ψυχή и душа",
    "CJK": "日本語のテキスト、中文文本。한국어",
    "Arabic and Hebrew": "السلام עולם",
    "Devanagari": "नमस्ते दुनिया",
    "emoji": "🙂 and 🎉!",
    "emoji joined": "a 👩‍👩‍👧‍👦 b 🏳️‍🌈 c 👍🏽",
    "flags": "🇩🇪🇫🇷",
    "astral letters": "𝒳 is 𝔘𝔫𝔦",
    "zero width": "a\u200bb\ufeffc",
    "control": "a\u0000b\u0007c",
    "special token in text": "before<|endoftext|>after",
    "long word": "antidisestablishmentarianism" * 3,
}


def corpus() -> list[str]:
    """Some English and a line of everything else, so that merges exist on both sides."""
    english = (ROOT / "test/text/pit-and-pendulum.md").read_bytes().decode().replace("\r\n", "\n").split("\n")
    return english + list(STRINGS.values()) * 3


def train_byte_level() -> Tokenizer:
    """GPT-2's kind with a normaliser (NFC) and a template that puts a token first, as Qwen and LLaMA 3 have them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    digits = pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|begin|>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    template = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def train_sentencepiece() -> Tokenizer:
    """LLaMA 2's kind: spaces become ▁ in the normaliser, unknown characters fall back to bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>", *bytes_],
        limit_alphabet=70,  # most of the world's letters stay outside and show the fallback
        max_token_length=12,
        show_progress=False,
    )
    tokenizer.train_from_iterator([part for line in corpus() for part in line.split(" ")], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    content = json.loads(tokenizer.to_str())
    # The bytes are ordinary entries of the vocabulary in real files, not added tokens.
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in bytes_]
    return Tokenizer.from_str(json.dumps(content))


def case(tokenizer: Tokenizer, text: str) -> dict:
    units = list(accumulate((2 if ord(c) > 0xFFFF else 1 for c in text), initial=0))
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return {
        "text": text,
        "ids": encoding.ids,
        "offsets": [[units[start], units[end]] for start, end in encoding.offsets],
        "withSpecial": tokenizer.encode(text).ids,
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, train in (("byte-level", train_byte_level), ("sentencepiece", train_sentencepiece)):
        file = FOLDER / f"{name}.json"
        if not file.exists():  # merges of equal count come out in another order each time, so the first result is kept
            file.write_text(train().to_str(pretty=False) + "\n")
    result = {}
    for file in FILES:
        tokenizer = Tokenizer.from_file(str(ROOT / file))
        result[file] = [{"name": name, **case(tokenizer, text)} for name, text in STRINGS.items()]
    write("test/references/tokens.json", result)


if __name__ == "__main__":
    main()
