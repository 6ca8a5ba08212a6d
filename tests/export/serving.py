"""A server that stands in for TensorFlow Serving, which is no Python package.

It loads a SavedModel as TensorFlow Serving does, as a graph in a session with the
tensors that the signatures name, and implements the part of the REST API that
docs/serving_client.py uses: https://www.tensorflow.org/tfx/serving/api_rest.
"""

import base64
import contextlib
import http.server
import json
import threading

import numpy as np
import tensorflow as tf

METHOD = "tensorflow/serving/predict"


class ServedModel:
    """A version of a model: `signatures`, and predictions by them."""

    def __init__(self, path):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            meta = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
        self.signatures = meta.signature_def

    def close(self):
        self._session.close()

    def predict(self, request):
        """Answers a request in the row form: a list of instances."""
        name = request.get("signature_name", "serving_default")
        signature = self.signatures[name]
        assert signature.method_name == METHOD
        rows = [self._named(row, signature) for row in request["instances"]]
        feed = {
            info.name: np.array([_decoded(row[key]) for row in rows])
            for key, info in signature.inputs.items()
        }
        fetches = {key: info.name for key, info in signature.outputs.items()}
        values = self._session.run(fetches, feed)
        return {
            "predictions": [
                {key: value[index].tolist() for key, value in values.items()}
                for index in range(len(rows))
            ]
        }

    @staticmethod
    def _named(row, signature):
        """A single input needs no name."""
        if isinstance(row, dict) and set(row) == set(signature.inputs):
            return row
        (name,) = signature.inputs
        return {name: row}


def _decoded(value):
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    return value


@contextlib.contextmanager
def serving(path, name="model", version="1"):
    """Serves a SavedModel on a free port of this machine; yields the model's URL."""
    model = ServedModel(path)
    status = {"version": version, "state": "AVAILABLE", "status": {"error_code": "OK"}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path == f"/v1/models/{name}"
            self._answer(known, {"model_version_status": [status]})

        def do_POST(self):
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            known = self.path == f"/v1/models/{name}:predict"
            try:
                self._answer(known, model.predict(request) if known else {})
            except (KeyError, ValueError, TypeError, tf.errors.OpError) as error:
                self._answer(False, {}, str(error))

        def _answer(self, good, values, problem="not found"):
            body = json.dumps(values if good else {"error": problem}).encode()
            self.send_response(200 if good else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *parts):
            """A test has no log."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/{name}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        model.close()
