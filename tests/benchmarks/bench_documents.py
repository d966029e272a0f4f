"""What a store of documents costs, printed and not asserted: ``python -m tests.benchmarks.bench_documents 700000``.

Of 700,000 documents 45% are Form 4 (5 kB), 15% 8-K (20 kB), 30% articles (2 kB) and 10% posts (200 bytes), collected
in 8,000 batches over ten years of entities; 2,520 daily indexes of 1,100 rows stand beside them. Each step runs in a
process of its own, so that its peak of memory is its own; with a second number, only that many steps.
"""

import datetime as dt
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from src.documents import segments
from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore
from src.documents.search_index import SearchIndex
from src.documents.search_query import Query, words
from src.storage.atomic import files_with_sizes

NOW = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
KINDS = [("edgar", "4", 5000, 0.45), ("edgar", "8-K", 20_000, 0.15), ("news", "article", 2000, 0.3)]
POST = ("stocktwits", "post", 200)
BATCH = 90
INDEXES, INDEX_BYTES = 2520 / 700_000, 104_500


def sentences(count=150_000):
    chance = random.Random(1)
    vocabulary = ["".join(chance.choices("aeiorstnlcdmpu", k=chance.randint(2, 11))) for _ in range(30_000)]
    vocabulary[:3] = ["accounting", "probe", "income"]
    weights = [1 / (i + 20) for i in range(len(vocabulary))]
    picked = chance.choices(vocabulary, weights, k=count * 12)
    return [" ".join(picked[i : i + 12]) for i in range(0, len(picked), 12)]


def made(n):
    chance, pool = random.Random(2), sentences()
    for i in range(n):
        draw = chance.random()
        source, kind, size = POST
        for each in KINDS:
            if draw < each[3]:
                source, kind, size = each[:3]
                break
            draw -= each[3]
        text = f"{i} " + ". ".join(chance.choices(pool, k=max(1, round(size * chance.uniform(0.5, 1.5) / 75))))
        if kind == "8-K":
            text = f"<html><body><p>{text.replace('. ', '</p><p>')}</p></body></html>"
        elif kind == "4":
            text = f'<?xml version="1.0"?><ownershipDocument><v>{text.replace(". ", "</v><v>")}</v></ownershipDocument>'
        moment = NOW - dt.timedelta(days=chance.uniform(0, 3650))
        company = chance.randint(1, 10_000)
        entity = f"CIK:{company:010d}" if source == "edgar" else f"stock:S{company}"
        fields = {"items": ["2.02"], "primary_document": "a.htm"} if kind == "8-K" else {"filer": entity}
        times = {"seen": NOW + dt.timedelta(seconds=i), "published": moment}
        more = {"entity": entity, "title": text[:60], "url": f"https://www.example.com/{i}", "fields": fields}
        yield Document(source, f"{source}-{i:012d}", kind, body=text.encode(), stream="index", **times, **more)


def indexes(n):
    chance, pool = random.Random(3), sentences(20_000)
    for i in range(n):
        day = NOW.date() - dt.timedelta(days=i)
        body = "\n".join(chance.choices(pool, k=INDEX_BYTES // 76)).encode()
        yield Document("edgar", f"index/{day}", "index", NOW, body, "index")


def append(root, n):
    store, batch, spent, count = DocumentStore(root), [], 0.0, 0

    def put(asked):
        nonlocal spent, count
        began = time.process_time()
        store.append(batch, [Ask("edgar", "index", asked)])
        spent, count = spent + time.process_time() - began, count + len(batch)
        batch.clear()

    for source in (indexes(round(n * INDEXES)), made(n)):
        for document in source:
            batch.append(document)
            if len(batch) >= BATCH:
                put(document.seen)
    put(NOW)
    began = time.process_time()
    store.seal()
    return (
        f"{count:,} documents; append with sealing {spent:.0f} s of CPU, last seal {time.process_time() - began:.1f} s"
    )


def again(root, n):
    store = DocumentStore(root)
    documents = [each for each, _ in zip(made(2000), range(2000), strict=False)]
    began = time.process_time()
    first = store.append(documents[:BATCH])
    opened = time.process_time() - began
    done = store.append(documents[BATCH:])
    spent = time.process_time() - began - opened
    return f"first batch {opened:.2f} s of CPU, the next {done.same:,} in {spent:.2f} s; {first}"


def ids(root, n):
    return f"{len(DocumentStore(root).ids('edgar')):,} ids of edgar"


def contains(root, n):
    store = DocumentStore(root)
    store.contains("edgar", "x")
    began = time.process_time()
    held = sum(store.contains("edgar", f"edgar-{i:012d}") for i in range(20_000))
    return f"{held:,} of 20,000 in {time.process_time() - began:.2f} s of CPU once it is open"


def documents(root, n):
    return f"{DocumentStore(root).documents().height:,} rows"


def one_kind(root, n):
    return f"{DocumentStore(root).documents('edgar', ['8-K']).height:,} rows of 8-K"


def digest(root, n):
    return DocumentStore(root).digest()


def bodies(root, n):
    store = DocumentStore(root)
    rows = store.documents("edgar", ["4"]).sample(500, seed=1)
    began = time.process_time()
    found = store.bodies(rows)
    return f"500 random bodies in {time.process_time() - began:.2f} s of CPU, {found['body'].bin.size().sum():,} bytes"


def parts(root, n):
    store = DocumentStore(root)
    size = sum(part["body"].bin.size().sum() for part in store.parts(store.documents("edgar", ["4"])))
    return f"all bodies of Form 4, {size / 2**20:,.0f} MB"


def index(root, n):
    made = SearchIndex(root.parent / "state", root)
    return f"{made.update():,} documents; {made.path.stat().st_size / 2**20:,.0f} MB"


def search(root, n):
    began, lines = time.perf_counter(), []
    made = SearchIndex(root.parent / "state", root)
    made.update()
    lines.append(f"update with nothing new {time.perf_counter() - began:.2f} s")
    for text in ('"accounting probe"', "accounting probe", "income"):
        began = time.perf_counter()
        found = made.find(Query(words(text)))
        lines.append(f"{text}: {found.total:,} in {time.perf_counter() - began:.2f} s")
    return "; ".join(lines)


def step(work, root, n):
    wall, cpu = time.perf_counter(), time.process_time()
    said = work(root, n)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    sys.stdout.write(f"{work.__name__}: {wall:.1f} s, CPU {cpu:.1f} s, peak {peak:,.0f} MB: {said}\n")
    sys.stdout.flush()


def main(n, steps):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "documents"
        for work in (append, again, ids, contains, documents, one_kind, digest, bodies, parts, index, search)[:steps]:
            process = multiprocessing.get_context("spawn").Process(target=step, args=(work, root, n))
            process.start()
            process.join()
            if work is append:
                sizes = [size for _, size in files_with_sizes(root)]
                raw = sum(segments.read_columns(path, ["size"])["size"].sum() for path in root.glob("*/????-??/*"))
                sys.stdout.write(f"disk: {len(sizes)} files, {sum(sizes) / 2**20:,.0f} MB of {raw / 2**20:,.0f} MB\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, int(sys.argv[2]) if len(sys.argv) > 2 else None)
