"""Makes bentos with the BentoML that runs this, one for each way in which it writes a Dockerfile, and exports them as
NAME/VERSION.tar.gz: python bentos.py BASE FOLDER

The Dockerfiles are BentoML's own but for their first line, which names BASE: an image with stand-ins for apt-get, pip,
uv and Python, so that a build takes seconds and asks nobody else.
"""

import os
import re
import shutil
import sys
import tarfile
import tempfile
import textwrap

base, out = sys.argv[1], os.path.abspath(sys.argv[2])
home = tempfile.mkdtemp()
os.environ.update(BENTOML_HOME=os.path.join(home, "bentoml"), BENTOML_DO_NOT_TRACK="True")
os.chdir(home)

import bentoml

release = tuple(int(part) for part in bentoml.__version__.split(".")[:3])


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        file.write(textwrap.dedent(text))
    os.chmod(path, mode)


def with_base(path):
    """Has a Dockerfile begin with BASE, and leaves the rest of it."""
    with open(path) as file:
        text = file.read()
    text, count = re.subn(r"(?m)^FROM \S+", "FROM " + base, text)
    assert count == 1, text
    with open(path, "w") as file:
        file.write(text)


def export(name, version, folder, **options):
    os.makedirs(os.path.join(out, name), exist_ok=True)
    with tarfile.open(os.path.join(out, name, version + ".tar.gz"), "w:gz", **options) as archive:
        folder(archive)


# What a service brings beside its Python: a folder, a link, a program, a wheel.
def write_project(name):
    os.makedirs(name)
    os.chdir(name)
    write("assets/labels.txt", "setosa\n", 0o640)
    write("assets/deep/tool.sh", "#!/bin/sh\necho tool\n", 0o755)
    os.symlink("labels.txt", "assets/latest.txt")
    write("wheels/thing-1.0-py3-none-any.whl", "not really a wheel\n")
    write("setup.sh", "#!/bin/sh\nmkdir -p /opt/set-up && cat /etc/passwd > /opt/set-up/users\n", 0o755)


def save_model(name):
    context = bentoml.models.ModelContext(framework_name="sklearn", framework_versions={"scikit-learn": "1.2.2"})
    with bentoml.models.create(name, module="bentoml.sklearn", signatures={}, context=context) as model:
        with open(model.path_of("weights.bin"), "wb") as file:
            file.write(name.encode() * 40000)
        os.makedirs(model.path_of("vocabulary"))
        with open(model.path_of("vocabulary/words.txt"), "w") as file:
            file.write("iris\n")


def build_1x(name, service, **options):
    # A module of its own for each, as Python imports a name once.
    module = name.replace("-", "_")
    write(module + ".py", service)
    entry = module + (":Flowers" if release >= (1, 2, 0) else ":svc")
    if release >= (1, 2, 0):
        options["name"] = name
    bento = bentoml.bentos.build(entry, version="v1", **options)
    assert bento.tag.name == name, bento.tag
    dockerfile = bento.path_of("env/docker/Dockerfile")
    with_base(dockerfile)
    # 1.4.39 names the script of `run_script` in the Dockerfile and forgets to copy it.
    with open(dockerfile) as file:
        for script in re.findall(r"script__[0-9a-f]{32}", file.read()):
            shutil.copy("setup.sh", bento.path_of("env/docker/" + script))
    os.makedirs(os.path.join(out, name), exist_ok=True)
    bento.export(os.path.join(out, name, "v1.tar.gz"))
    os.chdir(home)


def service_1_4(image, models):
    lines = "".join('    model%d = bentoml.models.BentoModel("%s")\n' % one for one in enumerate(models))
    return """
import bentoml
from bentoml.images import Image

@bentoml.service(image=%s)
class Flowers:
%s
    @bentoml.api
    def classify(self, petal: float = 1.0) -> float:
        return petal
""" % (image, lines)


if release >= (1, 4, 0):
    for name in ["weights:m1", "other:m1"]:
        save_model(name)
    plain = 'Image(python_version="3.11", lock_python_packages=False)'
    weights = ["weights:m1"]
    variants = {
        "plain": (plain, weights),
        "system-packages": (plain + '.system_packages("curl", "libgomp1")', weights),
        "build-include": (
            plain + '.python_packages("numpy==1.26.0", "./wheels/thing-1.0-py3-none-any.whl").build_include("assets", "wheels")',
            weights,
        ),
        "post-commands": (
            plain + '.python_packages("numpy==1.26.0").run("umask 027 && mkdir -p /opt/after && date > /opt/after/when")',
            weights,
        ),
        "run-script": (plain + '.run_script("setup.sh")', weights),
        "own-base": ('Image(base_image="%s", distro="none", lock_python_packages=False)' % base, weights),
        "two-models": (plain, ["weights:m1", "other:m1"]),
        "no-models": (plain, []),
    }
    for name, (image, models) in variants.items():
        write_project(name)
        build_1x("equal-" + name, service_1_4(image, models))
elif release >= (1, 0, 0):
    save_model("weights:m1")
    name = "equal-%d-%d" % release[:2]
    write_project("project")
    if release >= (1, 3, 0):
        service = """
import bentoml

@bentoml.service
class Flowers:
    model = bentoml.models.BentoModel("weights:m1")

    @bentoml.api
    def classify(self, petal: float = 1.0) -> float:
        return petal
"""
    else:
        service = """
import bentoml
from bentoml.io import JSON

svc = bentoml.Service("%s", models=[bentoml.models.get("weights:m1")])

@svc.api(input=JSON(), output=JSON())
def classify(petal):
    return petal
""" % name
    build_1x(
        name,
        service,
        include=["*"],
        docker={"system_packages": ["curl"], "env": {"GREETING": "hello"}},
        python={"packages": ["numpy==1.26.0"], "lock_packages": False, "wheels": ["wheels/thing-1.0-py3-none-any.whl"]},
    )
else:
    sys.path.insert(0, home)
    write(
        "flowers.py",
        """
        import bentoml
        from bentoml.adapters import JsonInput
        from bentoml.service.artifacts.pickle import PickleArtifact

        @bentoml.env(pip_packages=["numpy==1.21.0"], setup_sh="./setup.sh")
        @bentoml.artifacts([PickleArtifact("model")])
        class Flowers(bentoml.BentoService):
            @bentoml.api(input=JsonInput(), batch=False)
            def predict(self, json):
                return json
        """,
    )
    write("setup.sh", "#!/bin/sh\nmkdir -p /opt/set-up && cat /etc/passwd > /opt/set-up/users\n", 0o755)
    from bentoml.saved_bundle.bundler import save_to_dir
    from flowers import Flowers

    service = Flowers()
    service.pack("model", {"weights": bytes(range(256)) * 400})
    service.set_version("v1")
    os.mkdir("bundle")
    save_to_dir(service, "bundle")
    with_base("bundle/Dockerfile")
    # As its server packs one: GNU format, one directory.
    export("Flowers", "v1", lambda archive: archive.add("bundle", arcname="Flowers"), format=tarfile.GNU_FORMAT)
