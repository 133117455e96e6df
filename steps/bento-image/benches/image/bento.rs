//! Archives of bentos as BentoML 1.4 exports them, small and large.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use crate::{Bench, floats::Floats};

/// As BentoML 1.4.39 writes it for `examples/iris`
const DOCKERFILE: &str = include_str!("Dockerfile");

pub(crate) struct Bento {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// Where its archive is, once it is made
    pub(crate) path: PathBuf,
    is_gzip: bool,
    model: Model,
}

enum Model {
    /// As large as that of iris, and another one for each number
    Small(usize),
    /// The same in each version
    Weights(PathBuf),
    /// So many zeros
    Zeros(u64),
}

impl Bento {
    pub(crate) fn small(number: usize) -> Self {
        Self::new("iris", format!("v{number}"), true, Model::Small(number))
    }

    pub(crate) fn large(version: &str, is_gzip: bool, weights: &Path) -> Self {
        Self::new("large", version.into(), is_gzip, Model::Weights(weights.into()))
    }

    pub(crate) fn huge(size: u64) -> Self {
        Self::new("huge", "v1".into(), false, Model::Zeros(size))
    }

    fn new(name: &'static str, version: String, is_gzip: bool, model: Model) -> Self {
        Self { name, version, path: PathBuf::new(), is_gzip, model }
    }

    /// Makes its archive, unless it is there.
    pub(crate) fn archive(self, bench: &Bench) -> Self {
        let folder = bench.place.join(self.name);
        fs::create_dir_all(&folder).unwrap();
        // Where an archive is looked for first; its contents say what it is.
        let path = folder.join(format!("{}.tar.gz", self.version));
        if !path.exists() {
            let new = bench.place.join("new");
            let file = File::create(&new).unwrap();
            match (&self.model, self.is_gzip) {
                (Model::Zeros(size), _) => self.write_sparse(&file, *size),
                (_, false) => drop(self.write(BufWriter::new(file)).into_inner().unwrap()),
                (_, true) => {
                    let gzip = GzEncoder::new(BufWriter::new(file), Compression::default());
                    self.write(gzip).finish().unwrap().into_inner().unwrap();
                }
            }
            fs::rename(new, &path).unwrap();
        }
        Self { path, ..self }
    }

    fn write<W: Write>(&self, out: W) -> W {
        let mut tar = tar::Builder::new(out);
        self.write_head(&mut tar);
        let path = self.model_path("saved_model.pkl");
        match &self.model {
            Model::Small(number) => {
                let mut model = vec![0; 8_467];
                Floats::new(*number as u64).read_exact(&mut model).unwrap();
                append(&mut tar, &path, model.len() as u64, &mut &model[..]);
            }
            Model::Weights(file) => {
                let file = File::open(file).unwrap();
                let size = file.metadata().unwrap().len();
                append(&mut tar, &path, size, &mut BufReader::with_capacity(1 << 20, file));
            }
            Model::Zeros(size) => append(&mut tar, &path, *size, &mut io::empty()),
        }
        self.write_tail(&mut tar);
        tar.into_inner().unwrap()
    }

    /// The zeros are a hole of the file.
    fn write_sparse(&self, file: &File, size: u64) {
        let mut tar = tar::Builder::new(file);
        self.write_head(&mut tar);
        let path = self.model_path("saved_model.pkl");
        let mut header = header(size);
        header.set_path(path).unwrap();
        header.set_cksum();
        let out = tar.get_mut();
        out.write_all(header.as_bytes()).unwrap();
        let padded = i64::try_from(size.next_multiple_of(512)).unwrap();
        out.seek(SeekFrom::Current(padded)).unwrap();
        self.write_tail(&mut tar);
        tar.finish().unwrap();
    }

    fn model_path(&self, file: &str) -> String {
        let version = match self.model {
            Model::Small(number) => format!("m{number}"),
            Model::Weights(_) | Model::Zeros(_) => "m1".into(),
        };
        format!("models/svm/{version}/{file}")
    }

    fn write_head(&self, tar: &mut tar::Builder<impl Write>) {
        let Self { name, version, .. } = self;
        let model = self.model_path("").trim_start_matches("models/svm/").replace('/', "");
        let time = "'2026-11-29T09:01:57.627748+00:00'";
        let bento = format!(
            "service: service:Iris\nname: {name}\nversion: {version}\nbentoml_version: 1.4.39\n\
             creation_time: {time}\nmodels:\n- tag: svm:{model}\n  module: bentoml.sklearn\n  creation_time: {time}\n"
        );
        let schema = "{\"name\": \"Iris\", \"type\": \"service\", \"routes\": []}\n".repeat(20);
        text(tar, "README.md", "# iris\n");
        text(tar, "apis/schema.json", &schema);
        text(tar, "bento.yaml", &bento);
        for (path, bytes) in environment_files() {
            append(tar, path, bytes.len() as u64, &mut &bytes[..]);
        }
        let of_model = format!("name: svm\nversion: {model}\ncreation_time: {time}\n");
        text(tar, &self.model_path("model.yaml"), &of_model);
    }

    fn write_tail(&self, tar: &mut tar::Builder<impl Write>) {
        let code = "from __future__ import annotations\n".repeat(50);
        text(tar, "src/service.py", &format!("{code}# {}\n", self.version));
    }
}

/// What the image of each of these bentos is built from but for the model and the code.
pub(crate) fn environment_files() -> Vec<(&'static str, Vec<u8>)> {
    let entrypoint = "#!/usr/bin/env bash\nexec bentoml serve --port 3000\n";
    let lock = |number: u32| format!("package-{number}==1.{number}.0\n");
    let lock = (0..73).map(lock).collect::<String>();
    vec![
        ("env/docker/Dockerfile", DOCKERFILE.into()),
        ("env/docker/entrypoint.sh", entrypoint.into()),
        ("env/python/requirements.in", lock.clone().into()),
        ("env/python/requirements.txt", lock.into()),
    ]
}

fn text(tar: &mut tar::Builder<impl Write>, path: &str, text: &str) {
    append(tar, path, text.len() as u64, &mut text.as_bytes());
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, size: u64, contents: &mut dyn Read) {
    let mut header = header(size);
    header.set_mode(if path.ends_with("entrypoint.sh") { 0o755 } else { 0o644 });
    tar.append_data(&mut header, path, contents).unwrap();
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(1_790_000_000);
    header
}

/// A file with so many bytes of weights, made once.
pub(crate) fn weights(place: &Path, size: u64) -> PathBuf {
    let path = place.join("weights");
    if !path.metadata().is_ok_and(|known| known.len() == size) {
        let mut file = BufWriter::new(File::create(place.join("new")).unwrap());
        io::copy(&mut Floats::new(0).take(size), &mut file).unwrap();
        file.into_inner().unwrap();
        fs::rename(place.join("new"), &path).unwrap();
    }
    path
}
