"""Makes a bento with the BentoML 1.x that runs this, and exports it in every format: python bento_1x.py VERSION FOLDER"""

import os
import sys
import tarfile
import tempfile

version, out = sys.argv[1], os.path.abspath(sys.argv[2])
home = tempfile.mkdtemp()
os.environ.update(BENTOML_HOME=os.path.join(home, "bentoml"), BENTOML_DO_NOT_TRACK="True")
os.chdir(home)

import bentoml

release = tuple(int(part) for part in bentoml.__version__.split(".")[:2])

# A framework of our own, as none needs to be installed: what is saved is a file.
with bentoml.models.create(
    "weights:m1",
    module="bentoml.sklearn",
    labels={"team": "flowers"},
    metadata={"accuracy": 0.97},
    signatures={},
    context=bentoml.models.ModelContext(framework_name="sklearn", framework_versions={"scikit-learn": "1.2.2"}),
) as model:
    with open(model.path_of("weights.bin"), "wb") as file:
        file.write(bytes(range(256)) * 400)

os.mkdir("project")
os.chdir("project")
if release >= (1, 2):
    service = """
import bentoml

@bentoml.service
class Flowers:
    model = %s("weights:m1")

    @bentoml.api
    def classify(self, petal: float = 1.0) -> float:
        return petal
""" % ("bentoml.models.BentoModel" if release >= (1, 3) else "bentoml.models.get")
    entry = "service:Flowers"
else:
    service = """
import bentoml
from bentoml.io import JSON

svc = bentoml.Service("flowers", models=[bentoml.models.get("weights:m1")])

@svc.api(input=JSON(), output=JSON())
def classify(petal):
    return petal
"""
    entry = "service:svc"
with open("service.py", "w") as file:
    file.write(service)
with open("run.sh", "w") as file:
    file.write("#!/bin/sh\n")
os.chmod("run.sh", 0o744)
os.mkdir("docs")
os.symlink("../service.py", os.path.join("docs", "latest.py"))

options = {"name": "flowers"} if release >= (1, 2) else {}
bento = bentoml.bentos.build(entry, version=version, include=["*"], labels={"owner": "lea"}, **options)
# A disk that was rid of duplicates: a file of the store has two names.
os.link(os.path.join(bento.path_of("src"), "run.sh"), os.path.join(bento.path_of("src"), "docs", "run.sh"))
for ending in ["bento", "tar.gz", "tar.xz", "tar.bz2", "tar", "zip"]:
    bento.export(os.path.join(out, f"{version}.{ending}"))
if tuple(int(part) for part in bentoml.__version__.split(".")[:3]) >= (1, 4, 20):
    with tarfile.open(os.path.join(out, f"{version}.tar.gz")) as archive:
        assert any(member.islnk() for member in archive), "its exports have hard links"
print(bento.tag)
