import contextlib
import io
import os
import tempfile
import unittest

import model_card


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class ModelCard(unittest.TestCase):
    def env(self, **more):
        folder = tempfile.mkdtemp(dir=os.environ["TMPDIR"])
        os.makedirs(folder + "/model/deep")
        for name, text in (("model/weights.bin", "x" * 2000), ("model/deep/a|b", "1")):
            with open(f"{folder}/{name}", "w") as f:
                f.write(text)
        env = {name: "" for name, _ in model_card.SECTIONS}
        return {**env, "CARD_NAME": "digits", "CARD_SUMMARY": "", "CARD_METRICS": "", "CARD_RUN": "r1", "CARD_PIPELINE": "p",
                "AMLFLOW_INPUT_MODEL": folder + "/model", "AMLFLOW_OUTPUT_CARD": folder + "/card.md", **more}

    def test_card(self):
        env = self.env(CARD_METRICS="accuracy=0.94, loss=0.1\nf1 = 0.9", CARD_SUMMARY="Reads *digits*.", CARD_LICENSE="MIT")
        with contextlib.redirect_stdout(io.StringIO()):
            model_card.main(env)
        text = read(env["AMLFLOW_OUTPUT_CARD"])
        for part in ("# digits\n", "Reads *digits*.", "| accuracy | 0.94 |", "| f1 | 0.9 |", "## License\n\nMIT", "| weights.bin | 2.0 KiB |", "deep/a\\|b", "2 files", "Run `r1` of the pipeline `p`"):
            self.assertIn(part, text)
        self.assertNotIn("## Limitations", text)
        self.assertEqual(text, model_card.card(env))

    def test_model_in_one_file(self):
        env = self.env()
        env["AMLFLOW_INPUT_MODEL"] += "/weights.bin"
        self.assertIn("| weights.bin | 2.0 KiB |", model_card.card(env))

    def test_metrics(self):
        for text in ("accuracy", "=1", "a="):
            with self.assertRaises(SystemExit) as e:
                model_card.main(self.env(CARD_METRICS=text))
            self.assertIn("is not NAME=VALUE", e.exception.code)


if __name__ == "__main__":
    unittest.main()
