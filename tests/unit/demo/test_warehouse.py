import pytest

VERSION = {"Tus-Resumable": "1.0.0"}
PIECE = {**VERSION, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def upload(call):
    return call("POST", "/warehouse/uploads", headers={**VERSION, "Upload-Length": "6"}).headers["Location"]


def test_an_upload_breaks_once_and_is_resumed_and_imported(call, clock, upload):
    with pytest.raises(OSError, match="Connection"):
        call("PATCH", upload, headers={**PIECE, "Upload-Offset": "0"}, data=b"a\nb\nc\n")
    received = int(call("HEAD", upload, headers=VERSION).headers["Upload-Offset"])
    rest = b"a\nb\nc\n"[received:]
    answer = call("PATCH", upload, headers={**PIECE, "Upload-Offset": str(received)}, data=rest)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "6")
    name = call("POST", "/warehouse/imports", json={"upload": upload}).json()["id"]
    assert call("GET", f"/warehouse/imports/{name}").json()["state"] == "running"
    clock.advance(12)
    assert call("GET", f"/warehouse/imports/{name}").json()["result"]["lines"] == 3


def test_what_the_protocol_does_not_allow_is_refused(call, upload):
    assert call("POST", "/warehouse/uploads", headers=VERSION).status_code == 400
    assert call("HEAD", upload).status_code == 412
    assert call("HEAD", "/warehouse/uploads/9", headers=VERSION).status_code == 404
    assert call("PATCH", upload, headers={**VERSION, "Upload-Offset": "0"}, data=b"a").status_code == 415
    assert call("PATCH", upload, headers={**PIECE, "Upload-Offset": "3"}, data=b"a").status_code == 409
    assert call("POST", "/warehouse/imports", json={"upload": upload}).status_code == 409
    assert call("GET", "/warehouse/imports/9").status_code == 404
