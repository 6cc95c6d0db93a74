"""The file of a secret is made once, and again when a crash cut it short."""

from pathlib import Path

from imageedit_server.runtime.files import SECRET_BYTES, secret_in


def test_a_secret_stays_until_its_file_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "key"
    secret = secret_in(path)
    assert len(secret) == SECRET_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret_in(path) == secret
    assert secret_in(tmp_path / "other") != secret
    for spoilt in (b"", secret[:-1], secret + b"x"):
        path.write_bytes(spoilt)
        again = secret_in(path)
        assert len(again) == SECRET_BYTES
        assert again not in (secret, spoilt)
        assert secret_in(path) == again
