"""A store of documents in memory, and small documents of EDGAR in the forms that the SEC serves.

Forms after real samples: ownership XML after data/form4.snow.xml and data/ownership/374WaterForm4.xml of
dgunning/edgartools; the tables of the quarterly sets after SUBMISSION.tsv and the readme of
MarianaSwe/Insider_transactions.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from src.documents.document import DOCUMENTS
from src.documents.facts import schema
from src.research.links import COMPANIES

LAG = dt.timedelta(hours=24)
SEEN = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
COMPANY = pl.DataFrame(
    [(1, "stock", "ONE", "One Inc.", None, None), (2, "stock", "TWO", "Two Inc.", None, None)],
    schema=COMPANIES, orient="row",
)  # fmt: skip


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@dataclass
class HeldStore:
    """The methods of `DocumentStore` that readers use, over a list."""

    rows: list[dict] = field(default_factory=list)
    contents: dict = field(default_factory=dict)
    intervals: list[tuple] = field(default_factory=list)
    asked: int = 0

    def put(self, id, kind, body, *, known, seen=None, source="edgar", revision=0, entity="", **columns):
        """Add a document; it is back-filled if it was seen later than it was known."""
        seen = seen or known
        body = body if isinstance(body, bytes) else body.encode()
        fields = columns.pop("fields", {})
        row = dict.fromkeys(DOCUMENTS) | {
            "source": source, "id": id, "revision": revision, "kind": kind, "entity": entity, "title": "", "url": "",
            "first_seen": seen, "known": known, "backfilled": known < seen, "size": len(body),
            "content_hash": hashlib.sha256(body).hexdigest(), "fields": json.dumps(fields), **columns,
        }  # fmt: skip
        self.rows.append(row)
        self.contents[source, id, revision] = body
        return self

    def documents(self, source=None, kinds=None, *, until=None, revisions=True):
        table = pl.DataFrame(self.rows, schema=DOCUMENTS)
        if source:
            table = table.filter(source=source)
        if kinds is not None:
            table = table.filter(pl.col("kind").is_in(list(kinds)))
        if until:
            table = table.filter(pl.col("known") <= until)
        if not revisions:
            table = table.filter(revision=0)
        return table.sort("known", "source", "id", "revision")

    def bodies(self, rows):
        self.asked += rows.height
        bodies = [self.contents[key] for key in rows.select("source", "id", "revision").rows()]
        return rows.select("source", "id", "revision").with_columns(body=pl.Series(bodies, dtype=pl.Binary()))

    def parts(self, rows, most=300):
        place = pl.int_range(pl.len()) // 3 if most else 0
        for part in rows.with_columns(part=place).partition_by("part", maintain_order=True, include_key=False):
            yield part.with_columns(self.bodies(part)["body"])

    def coverage(self, source):
        rows = [row[1:] for row in self.intervals if row[0] == source]
        names = {"stream": pl.String(), "since": pl.Datetime("us", "UTC"), "until": pl.Datetime("us", "UTC")}
        return pl.DataFrame(rows, schema=names, orient="row")

    def lag(self, source):  # noqa: ARG002 (one for all)
        return LAG


def form4(
    lines: Sequence[Mapping] = (),
    *,
    issuer=1,
    owners=((100, "officer"),),
    form="4",
    plan=None,
    notes=None,
    derivatives=0,
):
    """An ownership document; a line has code, shares, price, day, side, held, note, swap."""
    people = "".join(
        f"<reportingOwner><reportingOwnerId><rptOwnerCik>{cik:010d}</rptOwnerCik></reportingOwnerId>"
        f"<reportingOwnerRelationship><isDirector>{int('director' in role)}</isDirector>"
        f"<isOfficer>{'true' if 'officer' in role else 'false'}</isOfficer>"
        f"<isTenPercentOwner>{int('ten' in role)}</isTenPercentOwner></reportingOwnerRelationship></reportingOwner>"
        for cik, role in owners
    )
    checked = "" if plan is None else f"<aff10b5One>{plan}</aff10b5One>"
    table = "".join(map(_line, lines))
    extra = "<derivativeTransaction/>" * derivatives
    footnotes = "".join(f'<footnote id="{key}">{text}</footnote>' for key, text in (notes or {}).items())
    return (
        f'<?xml version="1.0"?><ownershipDocument><documentType>{form}</documentType>'
        f"<issuer><issuerCik>{issuer:010d}</issuerCik></issuer>{people}{checked}"
        f"<nonDerivativeTable>{table}</nonDerivativeTable><derivativeTable>{extra}</derivativeTable>"
        f"<footnotes>{footnotes}</footnotes></ownershipDocument>"
    )


def _line(line):
    code = line.get("code", "P")
    side = line.get("side", "A" if code == "P" else "D")
    note = f'<footnoteId id="{line["note"]}"/>' if "note" in line else ""
    price = f"<value>{line['price']}</value>" if line.get("price", 10) is not None and "price" in line else note
    return (
        "<nonDerivativeTransaction><securityTitle><value>Common Stock</value></securityTitle>"
        f"<transactionDate><value>{line.get('day', '2024-01-05')}</value></transactionDate>"
        f"<transactionCoding><transactionFormType>4</transactionFormType><transactionCode>{code}</transactionCode>"
        f"<equitySwapInvolved>{line.get('swap', 0)}</equitySwapInvolved>{note}</transactionCoding><transactionAmounts>"
        f"<transactionShares><value>{line.get('shares', 100)}</value></transactionShares>"
        f"<transactionPricePerShare>{price}</transactionPricePerShare>"
        f"<transactionAcquiredDisposedCode><value>{side}</value></transactionAcquiredDisposedCode></transactionAmounts>"
        f"<postTransactionAmounts><sharesOwnedFollowingTransaction><value>{line.get('held', 1000)}</value>"
        "</sharesOwnedFollowingTransaction></postTransactionAmounts></nonDerivativeTransaction>"
    )


SUBMISSION = (
    "ACCESSION_NUMBER", "FILING_DATE", "PERIOD_OF_REPORT", "DATE_OF_ORIG_SUB", "NO_SECURITIES_OWNED",
    "NOT_SUBJECT_SEC16", "FORM3_HOLDINGS_REPORTED", "FORM4_TRANS_REPORTED", "DOCUMENT_TYPE", "ISSUERCIK", "ISSUERNAME",
    "ISSUERTRADINGSYMBOL", "REMARKS",
)  # fmt: skip
OWNER = ("ACCESSION_NUMBER", "RPTOWNERCIK", "RPTOWNERNAME", "RPTOWNER_RELATIONSHIP", "RPTOWNER_TITLE", "FILE_NUMBER")
LINE = (
    "ACCESSION_NUMBER", "NONDERIV_TRANS_SK", "SECURITY_TITLE", "SECURITY_TITLE_FN", "TRANS_DATE", "TRANS_DATE_FN",
    "DEEMED_EXECUTION_DATE", "DEEMED_EXECUTION_DATE_FN", "TRANS_FORM_TYPE", "TRANS_CODE", "EQUITY_SWAP_INVOLVED",
    "EQUITY_SWAP_TRANS_CD_FN", "TRANS_TIMELINESS", "TRANS_TIMELINESS_FN", "TRANS_SHARES", "TRANS_SHARES_FN",
    "TRANS_PRICEPERSHARE", "TRANS_PRICEPERSHARE_FN", "TRANS_ACQUIRED_DISP_CD", "TRANS_ACQUIRED_DISP_CD_FN",
    "SHRS_OWND_FOLWNG_TRANS", "SHRS_OWND_FOLWNG_TRANS_FN", "VALU_OWND_FOLWNG_TRANS", "VALU_OWND_FOLWNG_TRANS_FN",
    "DIRECT_INDIRECT_OWNERSHIP", "DIRECT_INDIRECT_OWNERSHIP_FN", "NATURE_OF_OWNERSHIP", "NATURE_OF_OWNERSHIP_FN",
)  # fmt: skip
NOTE = ("ACCESSION_NUMBER", "FOOTNOTE_ID", "FOOTNOTE_TXT")
ROLES = {"officer": "Officer", "director": "Director", "ten": "TenPercentOwner"}


def sec_day(day: str) -> str:
    return f"{dt.date.fromisoformat(day):%d-%b-%Y}".upper()


def tsv(columns, rows):
    lines = ["\t".join(columns), *("\t".join(str(row.get(name, "")) for name in columns) for row in rows)]
    return "\n".join(lines) + "\n"


def insider_set(filings: Sequence[Mapping], *, checkbox=True):
    """A quarterly set; a filing has accession, filed, form, issuer, owners, plan, lines, notes."""
    submissions, owners, lines, notes = [], [], [], []
    for each in filings:
        key = {"ACCESSION_NUMBER": each["accession"]}
        submissions.append(
            key | {"FILING_DATE": sec_day(each["filed"]), "DOCUMENT_TYPE": each.get("form", "4"),
                   "ISSUERCIK": f"{each.get('issuer', 1):010d}", "AFF10B5ONE": each.get("plan", "")}
        )  # fmt: skip
        for cik, role in each.get("owners", ((100, "officer"),)):
            owners.append(
                key | {"RPTOWNERCIK": f"{cik:010d}", "RPTOWNER_RELATIONSHIP": ",".join(ROLES[r] for r in role.split())}
            )
        for line in each["lines"]:
            code = line.get("code", "P")
            lines.append(
                key | {"NONDERIV_TRANS_SK": len(lines), "TRANS_DATE": sec_day(line.get("day", "2024-01-05")),
                       "TRANS_CODE": code, "EQUITY_SWAP_INVOLVED": line.get("swap", 0),
                       "EQUITY_SWAP_TRANS_CD_FN": line.get("note", ""), "TRANS_SHARES": line.get("shares", 100),
                       "TRANS_PRICEPERSHARE": line.get("price", ""),
                       "TRANS_ACQUIRED_DISP_CD": line.get("side", "A" if code == "P" else "D"),
                       "SHRS_OWND_FOLWNG_TRANS": line.get("held", 1000)}
            )  # fmt: skip
        notes += [key | {"FOOTNOTE_ID": name, "FOOTNOTE_TXT": text} for name, text in each.get("notes", {}).items()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("SUBMISSION.tsv", tsv((*SUBMISSION, *(["AFF10B5ONE"] if checkbox else [])), submissions))
        archive.writestr("REPORTINGOWNER.tsv", tsv(OWNER, owners))
        archive.writestr("NONDERIV_TRANS.tsv", tsv(LINE, lines))
        archive.writestr("FOOTNOTES.tsv", tsv(NOTE, notes))
    return out.getvalue()


def ordered(facts: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Facts as they are stored."""
    return facts.select(schema(kind).keys()).sort(*schema(kind))


def master_index(rows: Sequence[tuple], *, daily=False):
    """A master index; a row has CIK, form, filing date and accession number.

    After the samples of daily and quarterly master.idx in the tests of dgunning/edgartools.
    """
    head = "Description:           Master Index of EDGAR Dissemination Feed\n\n \n\n\n"
    name = "File Name" if daily else "Filename"
    lines = [
        f"{cik}|Soci\xe9t\xe9 {cik}|{form}|{day.replace('-', '') if daily else day}|edgar/data/{cik}/{accession}.txt"
        for cik, form, day, accession in rows
    ]
    text = f"{head}CIK|Company Name|Form Type|Date Filed|{name}\n{'-' * 80}\n" + "\n".join(lines) + "\n"
    return text.encode("latin-1")


def submissions(rows: Sequence[Mapping], *, cik=1, older=False):
    """Submissions of a company; a row has accession, form, filed, accepted (New York), period, items.

    After data/company_submission.json of dgunning/edgartools.
    """
    columns = {
        "accessionNumber": [each["accession"] for each in rows], "filingDate": [each["filed"] for each in rows],
        "reportDate": [each.get("period", "") for each in rows],
        "acceptanceDateTime": [f"{each['accepted']}.000Z" for each in rows], "form": [each["form"] for each in rows],
        "items": [each.get("items", "") for each in rows], "primaryDocument": ["a.htm" for _ in rows],
    }  # fmt: skip
    return json.dumps(columns if older else {"cik": str(cik), "filings": {"recent": columns, "files": []}})


def company_facts(entries: Sequence[tuple], *, cik=1):
    """Facts of a company; an entry has tag, start or None, end, value, accession, form, filing date, unit.

    After the specification in edgar/entity/.docs/design/company-facts-json-spec.md of dgunning/edgartools.
    """
    facts: dict = {"us-gaap": {}, "dei": {}}
    for tag, start, end, value, accession, form, filed, *unit in entries:
        shares = "Shares" in tag
        taxonomy = "dei" if tag.startswith("Entity") else "us-gaap"
        name = unit[0] if unit else "shares" if shares else "USD"
        entry = {"end": end, "val": value, "accn": accession, "fy": 2024, "fp": "FY", "form": form, "filed": filed}
        held = facts[taxonomy].setdefault(tag, {"label": tag, "units": {}})["units"].setdefault(name, [])
        held.append(entry | ({"start": start} if start else {}))
    return json.dumps({"cik": cik, "entityName": "One Inc.", "facts": facts})
