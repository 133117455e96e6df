"""Renders the Dockerfiles of the BentoML 0.x that runs this, with its own template: python dockerfiles_0x.py FOLDER"""

import os
import sys

from bentoml.saved_bundle.templates import MODEL_SERVER_DOCKERFILE_CPU

for option, image in [("plain", "bentoml/model-server:0.13.1-py37"), ("base_image", "registry.example/team/python:3.7")]:
    with open(os.path.join(sys.argv[1], f"spec0~{option}~model_server"), "w") as file:
        file.write(MODEL_SERVER_DOCKERFILE_CPU.format(docker_base_image=image))
