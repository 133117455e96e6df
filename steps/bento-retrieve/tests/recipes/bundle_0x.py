"""Makes a bundle with the BentoML 0.x that runs this, as its server packs one: python bundle_0x.py VERSION FOLDER"""

import os
import shutil
import sys
import tarfile
import tempfile

version, out = sys.argv[1], os.path.abspath(sys.argv[2])
home = tempfile.mkdtemp()
os.environ.update(BENTOML_HOME=os.path.join(home, "bentoml"), BENTOML_DO_NOT_TRACK="True")
os.chdir(home)
with open("flowers.py", "w") as file:
    file.write(
        """
import bentoml
from bentoml.adapters import JsonInput
from bentoml.service.artifacts.pickle import PickleArtifact

@bentoml.env(pip_packages=["scikit-learn"])
@bentoml.artifacts([PickleArtifact("model")])
class Flowers(bentoml.BentoService):
    @bentoml.api(input=JsonInput(), batch=False)
    def predict(self, json):
        return json
"""
    )
sys.path.insert(0, home)

from bentoml.saved_bundle.bundler import save_to_dir
from flowers import Flowers

service = Flowers()
service.pack("model", {"weights": bytes(range(256)) * 400})
service.set_version(version)
bundle = os.path.join(home, "bundle")
os.mkdir(bundle)
save_to_dir(service, bundle)

# As bentoml/yatai/repository/file_system_repository.py and `bentoml retrieve` do: GNU format, one directory.
name = service.name
with tarfile.open(os.path.join(out, f"{version}.tar.gz"), "w:gz", format=tarfile.GNU_FORMAT) as archive:
    archive.add(bundle, arcname=name)
shutil.rmtree(bundle)
print(f"{name}:{service.version}")
