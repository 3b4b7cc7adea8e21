"""A web service: POST a picture and a number, get all answers as JSON.

    pip install -r requirements-examples.txt
    uvicorn examples.serve_fastapi:app
    curl -F picture=@seven.png -F number=3 localhost:8000/answer

The service describes itself at `/docs`.
"""

from typing import Annotated

from fastapi import FastAPI
from fastapi import File
from fastapi import Form
from fastapi import HTTPException

from keras_mnist_sum import InputError
from keras_mnist_sum import Predictor

app = FastAPI(title="keras_mnist_sum")
predictor = Predictor.load()  # or Predictor.load("runs/...")


@app.post("/answer")
def answer(
    picture: Annotated[bytes, File()], number: Annotated[int, Form()]
) -> dict:
    try:
        given = predictor(picture, number)
    except InputError as error:
        raise HTTPException(422, str(error)) from error
    return {"values": given.values, "probabilities": given.probabilities}
