//! Samples as they stand: a reader who applies one gets what it says.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::{bento, namespace::in_namespace};

const LIMIT: Duration = Duration::from_mins(3);

#[tokio::test]
#[ignore = "needs the cluster"]
async fn every_sample_of_bento_retrieve_brings_the_bento() {
    in_namespace("samples", async |site| {
        bento::save_for_samples(&site).await;
        let volume = bento::save_on_a_volume(&site);
        let samples = demo::tree().unwrap().join("tasks/bento-retrieve/samples");
        let mut started = Vec::new();
        for file in fs::read_dir(samples).unwrap() {
            let file = file.unwrap().path();
            let run: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            let run = site.create(run).await.unwrap();
            started.push((file, run.metadata.name.unwrap()));
        }
        for (file, name) in started {
            let run = site.task_run(&name, LIMIT).await.unwrap();
            let bento = run.results.get("bento").map(String::as_str);
            assert_eq!(bento, Some("iris:v1"), "{}: {run:?}", file.display());
        }
        assert!(volume.path().join("unpacked/iris/bento.yaml").is_file(), "it is on the volume");
        site.cluster.kubectl(["delete", "pv", &site.namespace, "--wait=false"]).unwrap();
    })
    .await;
}
