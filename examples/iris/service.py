"""Answers which iris a flower is: POST /classify with its four measurements."""

from __future__ import annotations

import bentoml
from bentoml.exceptions import UnprocessableEntity
from pydantic import BaseModel

SPECIES = ("setosa", "versicolor", "virginica")


class Answer(BaseModel):
    species: str
    version: str  # of the model that answered, so that a user of a canary can tell


# All that the service needs comes as wheels: bentofile.yaml names the list. Naming no distribution leaves out the compilers and
# git that BentoML would add.
image = bentoml.images.Image(base_image="python:3.11-slim", distro="none", python_version="3.11")


@bentoml.service(image=image, workers=1, traffic={"timeout": 10})
class Iris:
    model = bentoml.models.BentoModel("iris-svm:latest")  # pinned when the bento is built

    def __init__(self) -> None:
        self.classifier = bentoml.sklearn.load_model(self.model)
        self.version = self.model.info.labels["version"]
        self.met = [self.model.info.metadata[size] for size in ("smallest", "largest")]

    @bentoml.api
    def classify(
        self,
        sepal_length: float = 5.1,
        sepal_width: float = 3.5,
        petal_length: float = 1.4,
        petal_width: float = 0.2,
    ) -> Answer:
        """Measurements in centimetres. The defaults are a setosa."""
        flower = [sepal_length, sepal_width, petal_length, petal_width]
        if any(not low / 2 <= size <= high * 2 for size, low, high in zip(flower, *self.met)):
            raise UnprocessableEntity("no flower that the model has met is like this one")
        [species] = self.classifier.predict([flower])
        return Answer(species=SPECIES[species], version=self.version)
