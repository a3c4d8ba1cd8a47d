"""What Instructor makes of Noria. It pins an older OpenAI client, so it has an environment of its own."""

from tests.gateway.clients.conftest import See


def test_instructor(see: See) -> None:
    seen = see("use_instructor.py", environment="instructor")
    assert seen == {"orders": [{"number": 7, "customer": "customer"}] * 3}
