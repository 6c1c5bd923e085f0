# SPDX-License-Identifier: BSD-3-Clause
"""What scripts and services are made of. See __init__.py for what a row is."""

PROGRAMS = {
    "pydantic": ("pydantic", """
        import pydantic

        class Job(pydantic.BaseModel):
            name: str
            ranks: int = pydantic.Field(gt=0)

        print(Job.model_validate_json('{"name": "a", "ranks": "4"}'), Job.model_json_schema()["required"])
        try:
            Job(name="a", ranks=0)
        except pydantic.ValidationError as e:
            print(e.error_count(), e.errors()[0]["type"])
        """),
    "requests": ("requests", """
        import http.server, os, requests, requests.certs, threading
        open("a.txt", "w").write("hello")

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        session = requests.Session()
        session.trust_env = False
        answer = session.get(f"http://127.0.0.1:{server.server_port}/a.txt")
        print(answer.status_code, answer.text, os.path.getsize(requests.certs.where()) > 1000)
        server.shutdown()
        """),
    "ipykernel": ("ipykernel jupyter_client", """
        import jupyter_client.manager
        manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3", startup_timeout=60)
        said = []
        client.execute_interactive("import json, fractions; print(json.dumps(sum(range(5)))); fractions.Fraction(1, 3)", timeout=60,
                                   output_hook=lambda m: said.append(m["content"].get("text") or m["content"].get("data", {}).get("text/plain")))
        print([text for text in said if text])
        client.stop_channels()
        manager.shutdown_kernel()
        print(manager.is_alive())
        """),
    "pytest": ("pytest pytest-xdist", """
        import os, subprocess, sys
        os.mkdir("t")
        open("t/conftest.py", "w").write("import pytest\\n\\n@pytest.fixture\\ndef three():\\n    return 3\\n")
        open("t/test_a.py", "w").write("def test_three(three, tmp_path):\\n    assert three == 3\\n\\n\\ndef test_wrong(three):\\n    assert three == 4\\n")
        for words in [], ["-n", "2"]:
            done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *words, "t"], capture_output=True, text=True)
            print(done.returncode, [line for line in done.stdout.splitlines() if line.startswith(("E ", "FAILED"))], done.stderr)
        """),
}
