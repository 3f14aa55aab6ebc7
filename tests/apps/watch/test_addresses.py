"""`emotion-ai watch` at addresses: certificates, redirects and playlists, on real sockets."""

import base64
import http.server
import ssl
from pathlib import Path

import pytest

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import Recording, every_nth
from emotion_ai.apps.watch.live import LiveSource
from emotion_ai.apps.watch.sources import open_source
from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError, InputError, Unavailable

from support.certificates import make_certificates
from support.command_line import assert_refused, emotion_ai
from support.fake_prediction_server import fake_prediction_server
from support.rtsp_server import rtsp_server
from support.videos import save_video, two_people
from support.web_server import Reply, send, web_server
from support.webm_times import set_times


def redirect(location: str) -> Reply:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def failure_at(address: str) -> EmotionAIError:
    """Read a source that fails, and return the failure."""
    with pytest.raises(EmotionAIError) as failure, open_source(address) as source:
        for _ in source.frames(every_nth(1)):
            pass
    return failure.value


def count_frames(address: str) -> int:
    with open_source(address) as source:
        assert isinstance(source, Recording)
        return sum(1 for _ in source.frames(every_nth(1)))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Videos of 20 frames, by suffix."""
    folder = tmp_path_factory.mktemp("videos")
    return {
        suffix: save_video(
            folder / f"clip{suffix}", two_people(2, 10), 25 if suffix == ".ts" else 10
        )
        for suffix in (".mp4", ".webm", ".ts")
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority's certificate, and a server's with its key for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    certificates = make_certificates()
    (folder / "authority.pem").write_text(certificates.authority)
    server = certificates.server
    (folder / "server.pem").write_text(server.key + server.certificate)
    return folder


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    """The settings of a server with the certificate for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem")
    return context


def test_watch_https_reads_only_from_a_server_with_a_trusted_certificate(
    videos: dict[str, Path],
    authority: Path,
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with web_server(send(videos[".mp4"].read_bytes()), tls) as web:
        address = f"https://127.0.0.1:{web.port}/clip.mp4?token=secret"
        untrusted = failure_at(address)
        assert isinstance(untrusted, Unavailable)
        assert f"https://127.0.0.1:{web.port}/clip.mp4: no video answers there" in str(untrusted)
        assert "certificate verify failed" in str(untrusted)
        assert not web.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(authority / "authority.pem"))
        assert count_frames(address) == 20
        asked = len(web.requests)
        other_name = failure_at(f"https://localhost:{web.port}/clip.mp4")
        assert "Hostname mismatch" in str(other_name)
        assert len(web.requests) == asked


def test_watch_rtsps_reads_only_from_a_server_with_a_trusted_certificate(
    videos: dict[str, Path],
    authority: Path,
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rtsp_server(videos[".ts"], tls) as camera:
        address = f"rtsps://me:secret@127.0.0.1:{camera.port}/door"
        untrusted = failure_at(address)
        assert isinstance(untrusted, Unavailable)
        assert f"rtsps://127.0.0.1:{camera.port}/door: no video answers there" in str(untrusted)
        assert "certificate verify failed" in str(untrusted)
        assert not camera.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(authority / "authority.pem"))
        with open_source(address) as source:
            assert isinstance(source, LiveSource)
            with pytest.raises(Unavailable, match="sends no more frames"):
                assert [frame.image.shape for frame in source.frames(every_nth(1))]
        asked = [request.split()[0] for request in camera.requests]
        assert asked[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
        other_name = failure_at(f"rtsps://localhost:{camera.port}/door")
        assert "Hostname mismatch" in str(other_name)
        assert len(camera.requests) == len(asked)


def test_watch_command_refuses_an_untrusted_certificate_in_one_line(
    videos: dict[str, Path], tls: ssl.SSLContext, tmp_path: Path
) -> None:
    with web_server(send(videos[".mp4"].read_bytes()), tls) as web:
        address = f"https://127.0.0.1:{web.port}/clip.mp4"
        answer = emotion_ai("watch", address, "--server", "127.0.0.1:9", cwd=tmp_path)
    assert_refused(answer, 1, "certificate verify failed")


def test_watch_rtsp_reads_a_stream(videos: dict[str, Path], tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "faces.csv")
    with (
        rtsp_server(videos[".ts"]) as camera,
        fake_prediction_server() as server,
        Client(server.address) as client,
        pytest.raises(Unavailable, match=r"/door: sends no more frames, .*; results until"),
    ):
        watch(f"rtsp://127.0.0.1:{camera.port}/door", client, outputs)
    assert len((tmp_path / "faces.csv").read_text().splitlines()) > 1


@pytest.mark.parametrize("playlist", ["m3u8", "ffconcat", "sdp", "mpd", "concat-file"])
def test_playlists_at_an_address_or_in_a_file_open_nothing(
    videos: dict[str, Path], tmp_path: Path, playlist: str
) -> None:
    with web_server(send(videos[".ts"].read_bytes())) as other:
        target = f"http://127.0.0.1:{other.port}/clip.ts"
        text, kind = {
            "m3u8": (
                f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
                "application/vnd.apple.mpegurl",
            ),
            "ffconcat": (f"ffconcat version 1.0\nfile '{target}'\n", "text/plain"),
            "concat-file": (f"ffconcat version 1.0\nfile '{videos['.ts']}'\n", "text/plain"),
            "sdp": (
                f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\n"
                f"m=video {other.port} RTP/AVP 33\n",
                "application/sdp",
            ),
            "mpd": (
                '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
                'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp2t">'
                f'<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL>'
                "</Representation></AdaptationSet></Period></MPD>",
                "application/dash+xml",
            ),
        }[playlist]
        (tmp_path / f"list.{playlist}").write_text(text)
        assert isinstance(failure_at(str(tmp_path / f"list.{playlist}")), InputError)
        with web_server(send(text.encode(), kind)) as web:
            failure = failure_at(f"http://127.0.0.1:{web.port}/list.{playlist}")
            assert web.requests
        assert "redirects and playlists (HLS, DASH) are not followed" in str(failure)
        assert not other.requests


def test_redirects_to_another_address_are_not_followed(videos: dict[str, Path]) -> None:
    with web_server(send(videos[".mp4"].read_bytes())) as other:
        location = f"http://me:secret@127.0.0.1:{other.port}/clip.mp4?token=secret"
        with web_server(redirect(location)) as web:
            failure = failure_at(f"http://127.0.0.1:{web.port}/a?token=secret")
        assert isinstance(failure, InputError)
        assert f"redirects to http://127.0.0.1:{other.port}/clip.mp4; " in str(failure)
        assert "secret" not in str(failure)
        with web_server(redirect(f"file://{videos['.mp4']}")) as web:
            assert failure_at(f"http://127.0.0.1:{web.port}/a").exit_code
        assert not other.requests


@pytest.mark.parametrize("asked", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
@pytest.mark.parametrize("scheme", ["rtsp", "tcp", "rtsps", "http"])
def test_rtsp_redirects_to_another_address_are_not_followed(
    videos: dict[str, Path], scheme: str, asked: str
) -> None:
    with rtsp_server(videos[".ts"]) as other:
        location = f"{scheme}://127.0.0.1:{other.port}/door"
        with rtsp_server(videos[".ts"], moved=(asked, location)) as camera:
            failure = failure_at(f"rtsp://me:secret@127.0.0.1:{camera.port}/door")
            assert any(request.startswith(asked) for request in camera.requests)
        assert isinstance(failure, Unavailable)
        assert "secret" not in str(failure)
        assert not other.requests


def test_a_password_in_an_address_is_sent_to_it_alone(videos: dict[str, Path]) -> None:
    expected = "Basic " + base64.b64encode(b"me:p@ss").decode()
    content = send(videos[".mp4"].read_bytes())

    def ask(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.headers["Authorization"] == expected:
            content(handler)
            return
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with web_server(ask) as web:
        assert count_frames(f"http://me:p%40ss@127.0.0.1:{web.port}/clip.mp4") == 20
        failure = failure_at(f"http://me:wrong@127.0.0.1:{web.port}/clip.mp4")
    assert str(failure).endswith("/clip.mp4: no video answers there: 401")


def test_a_password_is_not_sent_as_it_is_where_it_need_not(videos: dict[str, Path]) -> None:
    content = send(videos[".mp4"].read_bytes())

    def ask(handler: http.server.BaseHTTPRequestHandler) -> None:
        if (handler.headers["Authorization"] or "").startswith('Digest username="me"'):
            content(handler)
            return
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Digest realm="camera", nonce="1", qop="auth"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with web_server(ask) as web:
        assert count_frames(f"http://me:secret@127.0.0.1:{web.port}/a b\u00fc.mp4") == 20
        assert "secret" not in str(web.requests)
        failure = failure_at(f"http://127.0.0.1:{web.port}/clip.mp4")
    assert str(failure).endswith("/clip.mp4: no video answers there: 401")


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_recording_is_read_from_a_server_that_knows_no_ranges(
    videos: dict[str, Path], suffix: str
) -> None:
    content = videos[suffix].read_bytes()

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with web_server(reply) as web:
        assert count_frames(f"http://127.0.0.1:{web.port}/clip{suffix}") == 20


def test_a_browsers_recording_at_an_address_has_an_end(
    videos: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "recorded.webm"
    path.write_bytes(videos[".webm"].read_bytes())
    set_times(path, [100 * k for k in range(20)], as_browsers=True)
    with web_server(send(path.read_bytes())) as web:
        assert count_frames(f"http://127.0.0.1:{web.port}/recorded.webm") == 20


@pytest.mark.parametrize(
    "address", ["rtsp://[::1", "http://", "https://host:99999/a", "rtsp://host:0/", "http:///a"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    failure = failure_at(address)
    assert isinstance(failure, InputError)
    assert "expected an address such as rtsp://HOST:PORT/PATH" in str(failure)
