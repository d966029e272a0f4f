"""The files of the invented EDGAR, in the formats of the real one."""

from __future__ import annotations

import datetime as dt
import html
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from tests.loopback.edgar import Company, Filing

_TITLES = {
    "2.02": "Results of Operations and Financial Condition",
    "9.01": "Financial Statements and Exhibits",
    "5.02": "Departure of Directors or Certain Officers",
}
OLDER = 40  # filings that the first part of submissions holds; the real one holds a thousand


def index(filings: Sequence[Filing], day: dt.date, daily: bool) -> bytes:
    """A master index: one line for each filing and each of its filers, sorted by CIK."""
    name, dash = ("File Name", "") if daily else ("Filename", "-")
    lines = [
        "Description:           Master Index of EDGAR Dissemination Feed",
        f"Last Data Received:    {day:%B} {day.day}, {day.year}",
        "Comments:              webmaster@sec.gov",
        "Anonymous FTP:         ftp://ftp.sec.gov/edgar/",
    ]
    lines += [" "] if daily else ["Cloud HTTP:            https://www.sec.gov/Archives/", " ", " ", " "]
    lines += [f"CIK|Company Name|Form Type|Date Filed|{name}", "-" * 80]
    rows = sorted((party.cik, n, party, each) for n, each in enumerate(filings) for party in each.parties)
    for cik, _, party, each in rows:
        filed = f"{each.filed:%Y{dash}%m{dash}%d}"
        lines.append(f"{cik}|{party.name}|{each.form}|{filed}|edgar/data/{cik}/{each.accession}.txt")
    return ("\n".join(lines) + "\n").encode("latin-1")


def ownership(filing: Filing, shares: int, code: str = "P", price: float = 12.5) -> bytes:
    """An insider's form."""
    issuer, owner = filing.filers[0], filing.owners[0]
    symbol = issuer.tickers[0] if issuer.tickers else ""
    way = "A" if code == "P" else "D"
    return f"""<?xml version="1.0"?>
<ownershipDocument>
    <schemaVersion>X0508</schemaVersion>
    <documentType>{filing.form}</documentType>
    <periodOfReport>{filing.period}</periodOfReport>
    <issuer>
        <issuerCik>{issuer.cik:010d}</issuerCik>
        <issuerName>{html.escape(issuer.name)}</issuerName>
        <issuerTradingSymbol>{symbol}</issuerTradingSymbol>
    </issuer>
    <reportingOwner>
        <reportingOwnerId>
            <rptOwnerCik>{owner.cik:010d}</rptOwnerCik>
            <rptOwnerName>{html.escape(owner.name)}</rptOwnerName>
        </reportingOwnerId>
        <reportingOwnerRelationship>
            <isDirector>1</isDirector>
        </reportingOwnerRelationship>
    </reportingOwner>
    <aff10b5One>0</aff10b5One>
    <nonDerivativeTable>
        <nonDerivativeTransaction>
            <securityTitle><value>Common Stock</value></securityTitle>
            <transactionDate><value>{filing.period}</value></transactionDate>
            <transactionCoding>
                <transactionFormType>4</transactionFormType>
                <transactionCode>{code}</transactionCode>
                <equitySwapInvolved>0</equitySwapInvolved>
            </transactionCoding>
            <transactionAmounts>
                <transactionShares><value>{shares}</value></transactionShares>
                <transactionPricePerShare><value>{price}</value></transactionPricePerShare>
                <transactionAcquiredDisposedCode><value>{way}</value></transactionAcquiredDisposedCode>
            </transactionAmounts>
            <postTransactionAmounts>
                <sharesOwnedFollowingTransaction><value>{10 * shares}</value></sharesOwnedFollowingTransaction>
            </postTransactionAmounts>
            <ownershipNature><directOrIndirectOwnership><value>D</value></directOrIndirectOwnership></ownershipNature>
        </nonDerivativeTransaction>
    </nonDerivativeTable>
    <ownerSignature><signatureName>/s/ {html.escape(owner.name)}</signatureName></ownerSignature>
</ownershipDocument>""".encode()


def report(filing: Filing) -> bytes:
    """The main document of a report."""
    company = filing.filers[0]
    words = " ".join(f"Item {item} {_TITLES.get(item, '')}." for item in filing.items)
    return (
        f"<html><head><title>{filing.form}</title></head><body><p>{html.escape(company.name)}, form {filing.form} for "
        f"{filing.period}. {words} Revenue grew, and risks remain.</p></body></html>"
    ).encode()


def whole_text(filing: Filing) -> bytes:
    """A filing's whole text: the header with words, then its documents."""
    lines = [
        f"<SEC-DOCUMENT>{filing.accession}.txt : {filing.filed:%Y%m%d}",
        f"<SEC-HEADER>{filing.accession}.hdr.sgml : {filing.filed:%Y%m%d}",
        *_words(filing),
        "</SEC-HEADER>",
    ]
    if not filing.paper:
        kind = "XML" if filing.owners else ""
        body = filing.body.decode("utf-8")
        lines += [
            "<DOCUMENT>",
            f"<TYPE>{filing.form}",
            "<SEQUENCE>1",
            f"<FILENAME>{filing.document}",
            "<DESCRIPTION>PRIMARY DOCUMENT",
            "<TEXT>",
            *([f"<{kind}>"] if kind else []),
            body,
            *([f"</{kind}>"] if kind else []),
            "</TEXT>",
            "</DOCUMENT>",
            "<DOCUMENT>",
            "<TYPE>EX-99.1",
            "<SEQUENCE>2",
            "<FILENAME>ex99.htm",
            "<TEXT>",
            "An exhibit.",
            "</TEXT>",
            "</DOCUMENT>",
        ]
    return ("\n".join([*lines, "</SEC-DOCUMENT>"]) + "\n").encode("utf-8")


def header_page(filing: Filing) -> bytes:
    """The page ``-index-headers.html``: the header in tags, in words, and the list of documents."""
    lines = [f"<SEC-HEADER>{filing.accession}.hdr.sgml : {filing.filed:%Y%m%d}", *_tags(filing), "</SEC-HEADER>"]
    listed = (
        []
        if filing.paper
        else [
            "<DOCUMENT>",
            f"<TYPE>{filing.form}",
            "<SEQUENCE>1",
            f"<FILENAME>{filing.document}",
            "<DESCRIPTION>REPORT",
            "<TEXT>",
        ]
    )
    words = html.escape("\n".join(["<SEC-HEADER>", *_words(filing), "</SEC-HEADER>", *listed]))
    link = "" if filing.paper else f'\n<a href="{filing.document}">Document 1 - file: {filing.document}</a><br>\n'
    exhibit = html.escape(
        "</DOCUMENT>\n<DOCUMENT>\n<TYPE>EX-99.1\n<SEQUENCE>2\n<FILENAME>ex99.htm\n<TEXT>\n</DOCUMENT>\n"
    )
    return (
        f"<HTML><HEAD><TITLE>SEC EDGAR Submission {filing.accession}</TITLE>\n<!--\n" + "\n".join(lines) + "\n-->\n"
        f"</HEAD><BODY>\n<PRE>{words}{link}{'' if filing.paper else exhibit}</PRE></BODY></HTML>\n"
    ).encode()


def _words(filing: Filing) -> list[str]:
    lines = [
        f"<ACCEPTANCE-DATETIME>{filing.accepted:%Y%m%d%H%M%S}",
        f"ACCESSION NUMBER:\t\t{filing.accession}",
        f"CONFORMED SUBMISSION TYPE:\t{filing.form}",
        "PUBLIC DOCUMENT COUNT:\t\t2",
        f"CONFORMED PERIOD OF REPORT:\t{filing.period:%Y%m%d}",
        *(f"ITEM INFORMATION:\t\t{_TITLES.get(item, item)}" for item in filing.items),
        f"FILED AS OF DATE:\t\t{filing.filed:%Y%m%d}",
        f"DATE AS OF CHANGE:\t\t{filing.filed:%Y%m%d}",
    ]
    roles = [
        *(("REPORTING-OWNER", "OWNER DATA", each) for each in filing.owners),
        *(("ISSUER" if filing.owners else "FILER", "COMPANY DATA", each) for each in filing.filers),
    ]
    for role, data, party in roles:
        lines += [
            "",
            f"{role}:",
            "",
            f"\t{data}:\t",
            f"\t\tCOMPANY CONFORMED NAME:\t\t\t{party.name}",
            f"\t\tCENTRAL INDEX KEY:\t\t\t{party.cik:010d}",
            "",
            "\tFILING VALUES:",
            f"\t\tFORM TYPE:\t\t{filing.form}",
            "\t\tSEC ACT:\t\t1934 Act",
        ]
    return lines


def _tags(filing: Filing) -> list[str]:
    lines = [
        f"<ACCEPTANCE-DATETIME>{filing.accepted:%Y%m%d%H%M%S}",
        f"<ACCESSION-NUMBER>{filing.accession}",
        f"<TYPE>{filing.form}",
        "<PUBLIC-DOCUMENT-COUNT>2",
        f"<PERIOD>{filing.period:%Y%m%d}",
        *(f"<ITEMS>{item}" for item in filing.items),
        f"<FILING-DATE>{filing.filed:%Y%m%d}",
    ]
    for role, party in [
        *(("REPORTING-OWNER", each) for each in filing.owners),
        *(("ISSUER" if filing.owners else "FILER", each) for each in filing.filers),
    ]:
        lines += [
            f"<{role}>",
            "<COMPANY-DATA>",
            f"<CONFORMED-NAME>{party.name}",
            f"<CIK>{party.cik:010d}",
            "</COMPANY-DATA>",
            "<FILING-VALUES>",
            f"<FORM-TYPE>{filing.form}",
            "</FILING-VALUES>",
            f"</{role}>",
        ]
    return lines


def tickers(companies: Sequence[Company]) -> bytes:
    """The table of tickers."""
    rows = [[each.cik, each.name, ticker, "Nasdaq"] for each in companies for ticker in each.tickers]
    return orjson.dumps({"fields": ["cik", "name", "ticker", "exchange"], "data": rows})


def submissions(company: Company, filings: Sequence[Filing], older: bool) -> bytes:
    """A company's submissions, or the older part of them; newest first."""
    recent, rest = filings[:OLDER], filings[OLDER:]
    if older:
        return orjson.dumps(_columns(company, rest))
    parts = []
    if rest:
        about = {"filingCount": len(rest), "filingFrom": str(rest[-1].filed), "filingTo": str(rest[0].filed)}
        parts.append({"name": f"CIK{company.cik:010d}-submissions-001.json", **about})
    tree = {
        "cik": str(company.cik),
        "name": company.name,
        "tickers": list(company.tickers),
        "exchanges": ["Nasdaq"],
        "category": "Large accelerated filer",
        "fiscalYearEnd": "1231",
        "formerNames": [],
        "filings": {"recent": _columns(company, recent), "files": parts},
    }
    return orjson.dumps(tree)


def _columns(company: Company, filings: Sequence[Filing]) -> dict[str, list[Any]]:
    from tests.loopback.edgar import NEW_YORK

    stamps = [
        each.accepted if company.local_clock else each.accepted.replace(tzinfo=NEW_YORK).astimezone(dt.UTC)
        for each in filings
    ]
    return {
        "accessionNumber": [each.accession for each in filings],
        "filingDate": [str(each.filed) for each in filings],
        "reportDate": [str(each.period) for each in filings],
        "acceptanceDateTime": [f"{stamp:%Y-%m-%dT%H:%M:%S}.000Z" for stamp in stamps],
        "form": [each.form for each in filings],
        "items": [",".join(each.items) for each in filings],
        "size": [len(each.body) for each in filings],
        "primaryDocument": [("" if each.paper else each.document) for each in filings],
    }


def companyfacts(company: Company, filings: Sequence[Filing]) -> bytes:
    """A company's facts: one value of assets for each report."""
    reports = [each for each in reversed(filings) if each.form in ("10-K", "10-Q")]
    values = [
        {
            "end": str(each.period),
            "val": 1_000_000 + 1000 * n,
            "accn": each.accession,
            "fy": each.period.year,
            "fp": "FY",
            "form": each.form,
            "filed": str(each.filed),
        }
        for n, each in enumerate(reports)
    ]
    facts = {"us-gaap": {"Assets": {"label": "Assets", "units": {"USD": values}}}}
    return orjson.dumps({"cik": company.cik, "entityName": company.name, "facts": facts})


def insider_set(filings: Sequence[Filing]) -> bytes:
    """A quarter's insider set: tables that say what the forms say, without acceptance times."""

    def date(day: dt.date) -> str:
        return f"{day:%d-%b-%Y}".upper()

    submission = [
        "ACCESSION_NUMBER\tFILING_DATE\tPERIOD_OF_REPORT\tDOCUMENT_TYPE\tISSUERCIK\tISSUERNAME\tISSUERTRADINGSYMBOL\tAFF10B5ONE"
    ]
    owner = ["ACCESSION_NUMBER\tRPTOWNERCIK\tRPTOWNERNAME\tRPTOWNER_RELATIONSHIP\tRPTOWNER_TITLE"]
    trans = [
        "ACCESSION_NUMBER\tNONDERIV_TRANS_SK\tSECURITY_TITLE\tTRANS_DATE\tTRANS_CODE\tEQUITY_SWAP_INVOLVED\t"
        "TRANS_SHARES\tTRANS_PRICEPERSHARE\tTRANS_ACQUIRED_DISP_CD\tSHRS_OWND_FOLWNG_TRANS"
    ]
    for n, each in enumerate(filings):
        issuer, who = each.filers[0], each.owners[0]
        submission.append(
            f"{each.accession}\t{date(each.filed)}\t{date(each.period)}\t{each.form}\t{issuer.cik:010d}\t{issuer.name}\t{issuer.tickers[0]}\t0"
        )
        owner.append(f"{each.accession}\t{who.cik:010d}\t{who.name}\tDirector\t")
        trans.append(f"{each.accession}\t{n}\tCommon Stock\t{date(each.period)}\tP\t0\t100\t12.5\tA\t1000")
    return archive(
        {"SUBMISSION.tsv": _lines(submission), "REPORTINGOWNER.tsv": _lines(owner), "NONDERIV_TRANS.tsv": _lines(trans)}
    )


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip archive, the same bytes each time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as into:
        for name, body in files.items():
            into.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _lines(rows: Sequence[str]) -> bytes:
    return ("\n".join(rows) + "\n").encode()
