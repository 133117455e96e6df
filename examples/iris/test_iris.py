"""What the example promises, without a cluster: $(./venv) -m unittest discover"""

from __future__ import annotations

import json
import unittest
from collections import Counter
from pathlib import Path

from bentoml.exceptions import UnprocessableEntity
from sklearn.datasets import load_iris
from sklearn.svm import SVC

import service

HERE = Path(__file__).parent
VIRGINICA = {"sepal_length": 6.3, "sepal_width": 3.3, "petal_length": 6.0, "petal_width": 2.5}


def iris(columns: list[int], scale: float = 1) -> service.Iris:
    """The service with a model of these columns, as if it came from the store."""
    flowers, species = load_iris(return_X_y=True)
    flowers *= scale
    running = object.__new__(service.Iris.inner)
    running.classifier = SVC().fit(flowers[:, columns], species)
    running.version = "v7"
    running.met = [flowers.min(axis=0), flowers.max(axis=0)]
    return running


class Service(unittest.TestCase):
    def test_a_flower_gets_its_species_and_the_version_that_named_it(self):
        answer = iris([0, 1, 2, 3]).classify(**VIRGINICA)
        self.assertEqual(answer.model_dump(), {"species": "virginica", "version": "v7"})

    def test_without_measurements_it_is_a_setosa(self):
        self.assertEqual(iris([0, 1, 2, 3]).classify().species, "setosa")

    def test_a_model_of_other_columns_answers_with_an_error(self):
        with self.assertRaises(ValueError):
            iris([2, 3]).classify(**VIRGINICA)

    def test_a_model_of_millimetres_refuses_every_flower_in_centimetres(self):
        refusing = iris([0, 1, 2, 3], scale=10)
        for flower in load_iris().data:
            with self.assertRaises(UnprocessableEntity) as refused:
                refusing.classify(*flower)
            self.assertEqual(refused.exception.error_code, 422)

    def test_a_model_of_columns_in_another_order_answers_every_flower_and_most_of_them_wrongly(self):
        good, skewed = iris([0, 1, 2, 3]), iris([0, 2, 1, 3])
        named = [Counter(model.classify(*flower).species for flower in load_iris().data) for model in (good, skewed)]
        self.assertLess(named[0]["versicolor"], 60)
        self.assertGreater(named[1]["versicolor"], 80, "of 150")
        self.assertEqual(named[1]["virginica"], 0)

    def test_no_flower_of_the_data_is_refused(self):
        running = iris([0, 1, 2, 3])
        for flower in load_iris().data:
            running.classify(*flower)


class Files(unittest.TestCase):
    def test_the_notebook_is_kept_without_outputs(self):
        for cell in json.loads((HERE / "iris.ipynb").read_text())["cells"]:
            if cell["cell_type"] == "code":
                self.assertEqual((cell["outputs"], cell["execution_count"]), ([], None), cell["id"])

    def test_the_image_gets_the_packages_that_the_notebook_has(self):
        pinned = (HERE / "requirements.txt").read_text().splitlines()
        wanted = [line for line in (HERE / "image.in").read_text().splitlines() if not line.startswith("#")]
        image = (HERE / "image.txt").read_text().splitlines()
        self.assertEqual(set(wanted) - set(image), set(), "compile it again: image.in says how")
        self.assertEqual(set(image) - set(pinned), set(), "a model is served by what it was trained with")


if __name__ == "__main__":
    unittest.main()
