//! Images through the engine into a real registry.

use base64::Engine as _;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use ioc::cli::global::{ColorChoice, GlobalArgs, OutputFormat};
use ioc::settings::Settings;
use tokio_util::sync::CancellationToken;

use super::Bed;

#[test]
fn localhost_is_no_registry_to_push_to() {
    let context = crate::context::TestContext::new().without_engine();
    context.succeed(&["new", "generic-ioc", "ioc-new", "--base", "os"]);
    let report = context.refuse(&["build", "ioc-new", "--push"]);
    assert!(report.starts_with("exit code: 2"), "{report}");
    assert!(
        report.contains("`localhost` stands for this machine"),
        "{report}"
    );
}

#[tokio::test]
async fn an_image_of_the_engine_is_pushed_and_found() {
    let Some(bed) = Bed::new("image") else { return };
    let Some(host) = crate::testbed::part("engine.sh", "DOCKER_HOST") else {
        return;
    };
    let engine = ioc::engine::Engine::connect_to(&host).await.unwrap();
    // an image of one file: what is in it does not matter
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "file", &b"text"[..])
        .unwrap();
    let repository = format!("{}/{}/tiny", bed.open, bed.folder);
    let reference = format!("{repository}:1");
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(&repository)
        .tag("1")
        .build();
    let body = bollard::body_full(archive.into_inner().unwrap().into());
    let mut made = engine
        .docker()
        .create_image(Some(options), Some(body), None);
    while let Some(progress) = made.next().await {
        progress.unwrap();
    }
    let settings = Settings::resolve(&GlobalArgs {
        output: OutputFormat::Table,
        quiet: true,
        verbose: 0,
        color: ColorChoice::Never,
        project: None,
        engine: None,
    })
    .unwrap();
    let fetch = ioc::source::FetchContext::new(&settings, CancellationToken::new());
    let registry = ioc::registry::Registry::for_images(fetch, &settings.registry, false);
    let name = ioc::registry::Reference::parse(&reference).unwrap();
    assert_eq!(registry.digest(&name).await.unwrap(), None);
    let pushed = ioc::registry::image::push(&engine, &registry, &reference, |_| {})
        .await
        .unwrap();
    assert!(!pushed.was_there);
    assert_eq!(
        registry.digest(&name).await.unwrap(),
        Some(pushed.digest.clone())
    );
    let again = ioc::registry::image::push(&engine, &registry, &reference, |_| {})
        .await
        .unwrap();
    assert!(again.was_there);
    assert_eq!(again.digest, pushed.digest);
}

#[test]
fn what_is_built_is_pushed_with_the_login_of_docker() {
    let Some(bed) = Bed::new("built") else { return };
    let Some(host) = crate::testbed::part("engine.sh", "DOCKER_HOST") else {
        return;
    };
    let context = bed.context.env("DOCKER_HOST", host);
    let place = format!("{}/{}", bed.login, bed.folder);
    context.write(
        "ioc.toml",
        format!(
            "[images]\nregistry = \"{place}\"\n[registry]\nplain-http = [\"{}\"]\n",
            bed.login
        ),
    );
    let definition = "description: tiny\nbase: os\n";
    context.write("generic-iocs/tiny/image.yaml", definition);
    let build = ["build", "tiny", "--push"];
    let report = context.run(&build);
    assert!(report.starts_with("exit code: 8\n"), "{report}");
    assert!(
        report.contains("wants a login to read, and there is none")
            && report.contains(&format!("not pushed: {place}/tiny-developer:latest")),
        "{report}"
    );

    let login =
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", bed.user, bed.password));
    let logins = format!(
        "{{\"auths\": {{\"{}\": {{\"auth\": \"{login}\"}}}}}}",
        bed.login
    );
    let file = context.root().join("home/.docker/config.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, logins).unwrap();
    let report = context.run(&build);
    assert!(
        report.contains(&format!("pushed {place}/tiny-developer:latest"))
            && report.contains(&format!("pushed {place}/tiny-runtime:latest")),
        "{report}"
    );
    let images = context.json(&build);
    let images = images.as_array().unwrap();
    assert_eq!(images.len(), 2);
    for image in images {
        assert_eq!(image["state"], "up to date");
        let digest = image["digest"].as_str().unwrap();
        assert!(digest.starts_with("sha256:"), "{digest}");
    }
    let again = context.run(&build);
    assert_eq!(again.matches("the registry has it already").count(), 2);
}
