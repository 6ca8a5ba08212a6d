"""Asks TensorFlow Serving for the classes of pictures; standard library only.

    slimnets export --checkpoint_path=TRAIN_DIR --format=saved_model \
        --output=served/digits/1
    docker run -p 8501:8501 -e MODEL_NAME=digits \
        -v "$PWD/served/digits:/models/digits" tensorflow/serving
    python docs/serving_client.py http://localhost:8501/v1/models/digits PICTURE ...

Pictures go as they are, JPEG, PNG, GIF or BMP of any size, to the signature `encoded`:
the server decodes and prepares them as the network was trained. Images that are
prepared already go as numbers to `serving_default`; see `Client.prepared`. Sent over
REST: https://www.tensorflow.org/tfx/serving/api_rest.
"""

import argparse
import base64
import json
import pathlib
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 60


class Client:
    """One model on a server.

    Args:
        url: of the model: `http://HOST:8501/v1/models/NAME`, or of one of its versions:
            `.../versions/1`.
    """

    def __init__(self, url):
        self.url = url.rstrip("/")

    def pictures(self, pictures):
        """Returns the outputs, `{"logits": [...], "probabilities": [...], ...}`, of
        each picture, the bytes of a file."""
        instances = [
            {"image_bytes": {"b64": base64.b64encode(picture).decode()}}
            for picture in pictures
        ]
        return self._predict("encoded", instances)

    def prepared(self, images):
        """The same of images, each a list `[height][width][channel]` of numbers, sized
        and scaled as the network takes them."""
        return self._predict("serving_default", [{"images": each} for each in images])

    def _predict(self, signature, instances):
        request = {"signature_name": signature, "instances": instances}
        return self._ask(":predict", request)["predictions"]

    def versions(self):
        """Returns the state of each version that the server has: `AVAILABLE` ..."""
        found = self._ask("")["model_version_status"]
        return {each["version"]: each["state"] for each in found}

    def _ask(self, what, request=None):
        body = None if request is None else json.dumps(request).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + what, body), timeout=TIMEOUT_SECONDS
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{self.url}: {error.read().decode()}") from None


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="http://HOST:8501/v1/models/NAME")
    parser.add_argument("pictures", nargs="+", help="JPEG, PNG, GIF or BMP files")
    parser.add_argument("--labels", help="the file .labels.txt that export wrote")
    parsed = parser.parse_args(arguments)
    names = {}
    if parsed.labels:
        lines = pathlib.Path(parsed.labels).read_text(encoding="utf-8").splitlines()
        names = dict(line.split(":", 1) for line in lines)
    contents = [pathlib.Path(name).read_bytes() for name in parsed.pictures]
    found = Client(parsed.url).pictures(contents)
    for picture, outputs in zip(parsed.pictures, found, strict=True):
        shares = outputs["probabilities"]
        best = max(range(len(shares)), key=shares.__getitem__)
        print(f"{picture}: {names.get(str(best), best)} ({shares[best]:.1%})")


if __name__ == "__main__":
    main()
