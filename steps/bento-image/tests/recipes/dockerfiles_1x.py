"""Renders the Dockerfiles of the BentoML 1.x that runs this, with its own templates: python dockerfiles_1x.py FOLDER

A file is named SPEC~OPTION~TEMPLATE.
"""

import os
import sys
import tempfile

out = os.path.abspath(sys.argv[1])
home = tempfile.mkdtemp()
os.environ.update(BENTOML_HOME=os.path.join(home, "bentoml"), BENTOML_DO_NOT_TRACK="True")
os.chdir(home)

import logging

import bentoml
from bentoml._internal.bento.build_config import CondaOptions, DockerOptions
from bentoml._internal.container.frontend.dockerfile import CONTAINER_METADATA, SUPPORTED_PYTHON_VERSIONS
from bentoml._internal.container.generate import generate_containerfile

logging.disable(logging.WARNING)
release = tuple(int(part) for part in bentoml.__version__.split("."))


def folder():
    """What the release takes for the bento's own folder."""
    path = tempfile.mkdtemp(dir=home)
    if release >= (1, 4):
        from pathlib import Path

        return Path(path), path
    import fs

    return fs.open_fs(path), path


def write(spec, option, template, text):
    with open(os.path.join(out, f"{spec}~{option}~{template}"), "w") as file:
        file.write(text)


with open("setup.sh", "w") as file:
    file.write("#!/bin/sh\n")
os.chmod("setup.sh", 0o755)
# As the documentation's example: a step of one's own after BentoML's.
for name, block in [("before", "SETUP_BENTO_BASE_IMAGE"), ("after", "SETUP_BENTO_COMPONENTS"), ("end", "SETUP_BENTO_ENTRYPOINT")]:
    with open(f"{name}.j2", "w") as file:
        file.write(
            "{% extends bento_base_template %}\n{% block " + block + " %}\n{{ super() }}\nRUN make things\n{% endblock %}\n"
        )

OPTIONS = {
    "plain": {},
    "system_packages": {"system_packages": ["git", "libgomp1"]},
    "env": {"env": {"WORKERS": "2", "GREETING": "hello"}},
    "setup_script": {"setup_script": "./setup.sh"},
    "buildkit": {},
    "preheat": {},
    "template_before": {"dockerfile_template": "./before.j2"},
    "template_after": {"dockerfile_template": "./after.j2"},
    "template_end": {"dockerfile_template": "./end.j2"},
}
for distro, kinds in CONTAINER_METADATA.items():
    for kind in ["python", "miniconda", "cuda"]:
        if kind not in kinds:
            continue
        pythons = kinds["supported_python_versions"]
        # 1.3 and later refuse the only Python of their own amazonlinux; the template is there all the same.
        if pythons[-1] not in SUPPORTED_PYTHON_VERSIONS:
            pythons[:] = SUPPORTED_PYTHON_VERSIONS[:1]
        for option, given in OPTIONS.items():
            docker = dict(distro=distro, python_version=pythons[-1], **given)
            if kind == "cuda":
                docker["cuda_version"] = kinds["supported_cuda_versions"][0]
            docker = DockerOptions(**docker).with_defaults()
            conda = CondaOptions(dependencies=["numpy"]) if kind == "miniconda" else CondaOptions()
            conda = conda.with_defaults()
            bento_fs, path = folder()
            conda.write_to_bento(bento_fs, home)
            os.makedirs(os.path.join(path, "env", "python"))
            with open(os.path.join(path, "env", "python", "requirements.lock.txt"), "w") as file:
                file.write("torch==2.1.0\n" if option == "preheat" else "numpy==1.24.0\n")
            text = generate_containerfile(
                docker, home, conda=conda, bento_fs=bento_fs, enable_buildkit=option == "buildkit"
            )
            write("spec1", option, f"{kind}_{distro}", text)

docker = DockerOptions(base_image="registry.example/team/python:3.11").with_defaults()
bento_fs, path = folder()
write("spec1", "base_image", "base", generate_containerfile(docker, home, conda=CondaOptions(), bento_fs=bento_fs, enable_buildkit=False))

if release >= (1, 3, 10):
    from bentoml._internal.bento.bento import ImageInfo
    from bentoml._internal.bento.build_config import BentoEnvSchema
    from _bentoml_impl.docker import generate_dockerfile

    env = BentoEnvSchema(name="WORKERS", value="2 and more")
    cases = {
        "plain": ({}, {}),
        "commands": ({"commands": ["apt-get update && apt-get install -y git", "curl -L https://x.example | sh"]}, {}),
        "post_commands": ({"post_commands": ["playwright install", "python -m nltk.downloader all"]}, {}),
        "envs": ({}, {"envs": [env]}),
        "buildkit": ({}, {"enable_buildkit": True}),
        "run_script": ({"commands": ["chmod +x ./env/docker/script__5d41 && ./env/docker/script__5d41"]}, {}),
    }
    if release >= (1, 4):
        cases["build_include"] = ({"build_include": ["wheels", "data/", "config.yaml"]}, {})
        secret = BentoEnvSchema(name="TOKEN")
        cases["secret_envs"] = ({}, {"enable_buildkit": True, "secret_envs": [secret]})
    for option, (image, given) in cases.items():
        image = {"base_image": "python:3.11-slim", "python_version": "3.11", **image}
        bento_fs, path = folder()
        os.makedirs(os.path.join(path, "env", "python"))
        with open(os.path.join(path, "env", "python", "requirements.txt"), "w") as file:
            file.write("numpy==1.24.0\n")
        given = {"enable_buildkit": False, "envs": [], **given}
        write("spec2", option, "base_v2", generate_dockerfile(ImageInfo(**image), bento_fs, **given))
