"""Writes small Parquet files as pyarrow makes them, in the ways that corpora come: python tools/references/parquet.py

Needs pyarrow. Their texts are in test/process/experiments/parquet.test.ts.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent.parent.parent / "test" / "references" / "parquet"
TEXTS = [f"Text {i}: Summer is warm, 冬 is cold. 🙂\n" + "word " * (i % 7) for i in range(50)]

FOLDER.mkdir(exist_ok=True)
table = pa.table({"id": list(range(50)), "text": TEXTS, "tags": [["a", "b"]] * 50, "title": ["t"] * 50})
for packed in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    pq.write_table(table, FOLDER / f"{packed}.parquet", compression=packed, row_group_size=20)
pq.write_table(table, FOLDER / "v2.parquet", data_page_version="2.0", use_dictionary=False, data_page_size=256)
pq.write_table(pa.table({"a": ["x"], "b": ["y"], "n": [1]}), FOLDER / "several.parquet")
pq.write_table(pa.table({"text": ["x", None, "z"]}), FOLDER / "null.parquet")
pq.write_table(pa.table({"text": pa.array([], pa.string())}), FOLDER / "empty.parquet")
pq.write_table(pa.table({"n": [1]}), FOLDER / "numbers.parquet")
