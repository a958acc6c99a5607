use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn fetcher(allow_private_addresses: bool, allow_plain_http: bool) -> Fetcher {
    Fetcher::new(FetchSettings {
        allow_private_addresses,
        allow_plain_http,
        loopback_needs_tls: false,
        ca_file: None,
        timeout: Duration::from_secs(2),
        max_answer_bytes: 1024,
    })
    .unwrap()
}

#[test]
fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    let strict = fetcher(false, true);
    for url in [
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://224.0.0.1/",
        "https://192.88.99.1/",
        "https://[::127.0.0.1]/",
        "https://[ff02::1]/",
    ] {
        let error = strict.check_url(url).unwrap_err();
        assert!(error.to_string().contains("not a public address"), "{url}: {error}");
    }
    for url in ["https://203.0.114.5/", "https://[2606:4700::1]/", "https://city.example/dsp"] {
        assert!(strict.check_url(url).is_ok(), "{url}");
    }
}

#[test]
fn schemes_and_credentials_in_urls_are_refused() {
    let open = fetcher(true, false);
    for url in
        ["ftp://city.example/", "file:///etc/passwd", "http://city.example/", "https://u:p@city.example/", "nonsense"]
    {
        assert!(open.check_url(url).is_err(), "{url}");
    }
    for url in ["http://127.0.0.1:8282/", "http://localhost/", "http://[::1]/", "https://city.example/"] {
        assert!(open.check_url(url).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_not_dialled() {
    let error = fetcher(false, true).get_json("https://localhost:9/", None).await.unwrap_err();
    assert!(!error.retryable && error.to_string().contains(NOT_PUBLIC), "{error}");
}

#[test]
fn links_are_found_by_their_relation() {
    let answer = FetchResponse {
        links: vec![r#"<https://p/a?c=1>; rel="previous", <https://p/b?c=2>; rel="next"; title="x""#.to_owned()],
        ..FetchResponse::default()
    };
    assert_eq!(answer.link("next"), Some("https://p/b?c=2"));
    assert_eq!(answer.link("previous"), Some("https://p/a?c=1"));
    assert_eq!(answer.link("last"), None);
}

/// A server on loopback that treats each connection in the same way; the heads of the requests come back.
async fn server<F, T>(treat: F) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>)
where
    F: Fn(TcpStream) -> T + Send + Sync + 'static,
    T: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let (heads, seen) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 8192];
            let read = stream.read(&mut head).await.unwrap();
            let _ = heads.send(String::from_utf8_lossy(&head[..read]).into_owned());
            treat(stream).await;
        }
    });
    (root, seen)
}

async fn answering(answer: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    server(move |mut stream| async move { stream.write_all(answer.as_bytes()).await.unwrap() }).await
}

#[tokio::test]
async fn a_message_goes_out_as_json_with_its_token() {
    let answer = "HTTP/1.1 200 OK\r\nLink: <https://p/2>; rel=\"next\"\r\nContent-Length: 2\r\n\r\n{}";
    let (root, mut seen) = answering(answer).await;
    let token = SecretString::from("Bearer secret");
    let body = serde_json::json!({"n": 1});
    let response = fetcher(true, false).post_json(&format!("{root}/a"), &body, Some(&token)).await.unwrap();
    assert_eq!((response.status, &response.body[..], response.link("next")), (200, &b"{}"[..], Some("https://p/2")));
    let head = seen.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("post /a http/1.1"), "{head}");
    assert!(head.contains("content-type: application/json\r\n") && head.contains("authorization: bearer secret\r\n"));
    assert!(head.ends_with("{\"n\":1}"), "{head}");
    fetcher(true, false).get_json(&root, None).await.unwrap();
    assert!(!seen.recv().await.unwrap().to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn v5_15_3_2_a_redirect_is_an_answer_and_not_followed() {
    let (root, mut seen) =
        answering("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
            .await;
    let token = SecretString::from("Bearer secret");
    assert_eq!(fetcher(true, false).get_json(&root, Some(&token)).await.unwrap().status, 307);
    seen.recv().await.unwrap();
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_cut_off() {
    // With a length and, since a sender may lie or leave it out, without one.
    for head in ["Content-Length: 4096\r\n", ""] {
        let (root, _seen) = server(move |mut stream| async move {
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
            // The client hangs up in the middle.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&[b'x'; 4096]).await;
        })
        .await;
        let error = fetcher(true, false).get_json(&root, None).await.unwrap_err();
        assert!(!error.retryable && error.to_string().contains("larger than 1024 bytes"), "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_never_answers_costs_a_bounded_time() {
    let (root, _seen) = server(|stream| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(stream);
    })
    .await;
    let begun = std::time::Instant::now();
    let error = fetcher(true, false).get_json(&root, None).await.unwrap_err();
    assert!(error.retryable && error.to_string().contains("time-out"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_lost_connection_can_be_tried_again() {
    let (root, _seen) = server(|stream| async move { drop(stream) }).await;
    assert!(fetcher(true, false).get_json(&root, None).await.unwrap_err().retryable);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(fetcher(true, false).get_json(&format!("http://{free}/"), None).await.unwrap_err().retryable);
}

#[tokio::test]
async fn without_leave_nothing_on_loopback_is_dialled() {
    let (root, mut seen) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let port = root.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f000001"] {
        let error = fetcher(false, true).get_json(&format!("http://{host}:{port}/"), None).await.unwrap_err();
        assert!(!error.retryable, "{host}: {error}");
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_is_told_without_showing_it() {
    let token = SecretString::from("Bearer line\r\nX-Injected: 1");
    let error = fetcher(true, false).get_json("http://127.0.0.1:9/", Some(&token)).await.unwrap_err();
    assert!(!error.retryable && !error.to_string().contains("Injected"), "{error}");
}
