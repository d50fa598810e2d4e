"""What the endpoint runs: init() once, when an instance starts, then run(data) for each request.

A request is {"pixels": [64 numbers from 0 to 16, row by row]}; the answer is {"digit": 7, "probability": 0.98}.
"""

import os

import rows
import softmax

weights = scale = None  # set by init()


def init():
    """Loads the model from the folder that $AMLFLOW_MODEL names."""
    global weights, scale
    weights, scale = softmax.load(os.environ["AMLFLOW_MODEL"])


def run(data):
    """Returns the digit and how sure the model is; raises ValueError, which the caller gets to read, for any other request."""
    pixels = data.get("pixels") if isinstance(data, dict) else None
    if not isinstance(pixels, list) or len(pixels) != rows.PIXELS:
        raise ValueError('want {"pixels": [64 numbers from 0 to 16]}, got %s' % described(data, pixels))
    for place, pixel in enumerate(pixels):
        if isinstance(pixel, bool) or not isinstance(pixel, (int, float)) or not 0 <= pixel <= rows.WHITE:
            raise ValueError("pixel %d must be a number from 0 to 16, got %.40r" % (place, pixel))
    digit, probability = softmax.classify(weights, [pixel / scale for pixel in pixels])
    return {"digit": digit, "probability": round(probability, 4)}


def described(data, pixels):
    """Returns what is wrong with a request's shape, in a few words."""
    if not isinstance(data, dict):
        return "a %s" % type(data).__name__
    if "pixels" not in data:
        return 'an object without "pixels"'
    return "%d pixels" % len(pixels) if isinstance(pixels, list) else '"pixels" that is no list'
