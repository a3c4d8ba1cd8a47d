"""SigV4 against AWS's published signing test suite (aws-sig-v4-test-suite; awslabs/aws-c-auth, tests/aws-signing-test-suite/v4).

The last cases are the suite's rules on a path of Bedrock; their signatures were made with botocore 1.44.8 on 2026-11-25.
"""

from datetime import UTC, datetime

import pytest
from yarl import URL

from noria.gateway.providers.sigv4 import Credentials, signature

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

SUITE = [
    ("get-vanilla", "GET", "/", {}, b"", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("post-vanilla", "POST", "/", {}, b"", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("get-utf8", "GET", "/ሴ", {}, b"", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    (
        "get-space",
        "GET",
        "/example space/",
        {},
        b"",
        "",
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    (
        "get-vanilla-query-order",
        "GET",
        "/?Param2=value2&Param1=value1",
        {},
        b"",
        "",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-vanilla-with-session-token",
        "GET",
        "/",
        {},
        b"",
        TOKEN,
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    ),
    (
        "post-x-www-form-urlencoded",
        "POST",
        "/",
        FORM,
        b"Param1=value1",
        "",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize(("name", "method", "path", "headers", "body", "token", "wanted"), SUITE)
def test_the_suite(
    *, name: str, method: str, path: str, headers: dict[str, str], body: bytes, token: str, wanted: str
) -> None:
    url = URL(f"https://example.amazonaws.com{path}", encoded=True)
    credentials = Credentials("AKIDEXAMPLE", SECRET, token)
    told = signature(method, url, headers, body, credentials, region="us-east-1", service="service", now=NOW)
    names = sorted([*(h.lower() for h in headers), "host", "x-amz-date", *(["x-amz-security-token"] if token else [])])
    assert told["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={wanted}"
    ), name
    assert told["X-Amz-Date"] == "20150830T123600Z"
    assert told.get("X-Amz-Security-Token", "") == token


BEDROCK = [
    (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v2%3A1/converse",
        "",
        "dc7a6912d154b37525f30cd184a866f2550faaa57bce09355b583a94512397a6",
    ),
    (
        "http://127.0.0.1:8080/model/arn%3Aaws%3Abedrock%3A%3A%3Ax%2Fy/converse-stream",
        "tok/en+==",
        "a4db60b7b8adccf1e5f838fb7f1b761c1c3e118ed930f308296ec13361c103ba",
    ),
]


@pytest.mark.parametrize(("url", "token", "wanted"), BEDROCK)
def test_paths_are_encoded_once_more_than_they_are_sent(url: str, token: str, wanted: str) -> None:
    told = signature(
        "POST",
        URL(url, encoded=True),
        {"content-type": "application/json"},
        b'{"a":1}',
        Credentials("AKIDEXAMPLE", SECRET, token),
        region="us-east-1",
        service="bedrock",
        now=NOW,
    )
    assert told["Authorization"].endswith(f"Signature={wanted}")


def test_what_a_developer_sees_of_credentials() -> None:
    assert SECRET not in repr(Credentials("AKIDEXAMPLE", SECRET, TOKEN))
