//! As much of HTTP as it takes to hand over metrics: `GET /metrics`, and an end.

/// The answer to a request, once it is whole; none until then.
pub(super) fn answer(text: &[u8], metrics: &dyn Fn() -> String) -> Option<Vec<u8>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(text);
    let (status, body) = match parsed {
        Ok(httparse::Status::Partial) if text.len() <= REQUEST_MAX => return None,
        Ok(httparse::Status::Complete(_)) => match (request.method, request.path) {
            (Some("GET"), Some("/metrics")) => ("200 OK", metrics()),
            (Some("GET"), _) => ("404 Not Found", "expected /metrics\n".to_owned()),
            _ => ("405 Method Not Allowed", "expected GET\n".to_owned()),
        },
        Ok(httparse::Status::Partial) | Err(_) => ("400 Bad Request", String::new()),
    };
    let kind = if status == "200 OK" { OPEN_METRICS } else { "text/plain" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    Some((head + &body).into_bytes())
}

/// What the metrics are written in.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// More than any collector sends.
const HEADERS_MAX: usize = 64;

/// Bytes of a request.
const REQUEST_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_requests_for_metrics_get_them() {
        let metrics = || "# EOF\n".to_owned();
        for (request, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Some("HTTP/1.1 200 OK\r\n")),
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n", None),
            ("GET / HTTP/1.1\r\n\r\n", Some("HTTP/1.1 404 Not Found\r\n")),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some("HTTP/1.1 405 Method Not Allowed\r\n")),
            ("EHLO x\r\n\r\n", Some("HTTP/1.1 400 Bad Request\r\n")),
        ] {
            let answer =
                answer(request.as_bytes(), &metrics).map(|a| String::from_utf8(a).unwrap());
            let head = answer.as_deref().map(|text| &text[..=text.find('\n').unwrap()]);
            assert_eq!(head, expected, "{request}");
        }
        let endless = b"GET /metrics HTTP/1.1\r\nX: ".iter().chain(&[b'x'; 9_000]);
        let endless: Vec<u8> = endless.copied().collect();
        assert!(answer(&endless, &metrics).unwrap().starts_with(b"HTTP/1.1 400"));
    }
}
