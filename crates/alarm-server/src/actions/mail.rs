//! `mailto:` by SMTP.

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::actions::notify::Outgoing;
use crate::actions::{ActionError, SetupError};
use crate::secrets::{self, SecretError};
use crate::settings::{MailSettings, MailTls};

/// Sends mail.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    sender: Mailbox,
    timeout: std::time::Duration,
}

impl Mailer {
    pub(super) fn new(settings: &MailSettings) -> Result<Self, SetupError> {
        let sender = settings
            .sender
            .parse()
            .map_err(|error| SetupError::Mail(format!("`{}`: {error}", settings.sender)))?;
        let tls = || {
            TlsParameters::new(settings.server.clone())
                .map_err(|error| SetupError::Mail(error.to_string()))
        };
        let tls = match settings.tls {
            MailTls::None => Tls::None,
            MailTls::Start => Tls::Required(tls()?),
            MailTls::Whole => Tls::Wrapper(tls()?),
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.server.clone())
                .port(settings.port)
                .tls(tls)
                .timeout(Some(settings.timeout));
        if let Some(path) = &settings.credentials {
            if settings.tls == MailTls::None {
                return Err(SetupError::Mail(
                    "a password is not sent without TLS; set `tls` or leave out the credentials"
                        .to_owned(),
                ));
            }
            let text = secrets::read(path)?;
            let mut lines = text.lines();
            let (Some(user), Some(password)) = (lines.next(), lines.next()) else {
                return Err(SetupError::Secret(SecretError::Content {
                    path: path.clone(),
                    why: "needs two lines, the user and the password".to_owned(),
                }));
            };
            builder = builder.credentials(Credentials::new(user.to_owned(), password.to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            sender,
            timeout: settings.timeout,
        })
    }

    /// Sends one mail.
    pub(super) async fn send(&self, mail: &Outgoing) -> Result<(), ActionError> {
        let failed = |error: &dyn std::fmt::Display| ActionError::Failed(error.to_string());
        let to: Mailbox = mail.target.parse().map_err(|error| failed(&error))?;
        // a header is one line
        let subject: String = mail
            .subject
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .collect();
        // the same for each try, so that whoever gets it twice can tell
        let id = format!("<{}.{}>", mail.id, self.sender.email);
        let message = Message::builder()
            .from(self.sender.clone())
            .to(to)
            .subject(subject)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|error| failed(&error))?;
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_accepted)) => Ok(()),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_elapsed) => Err(ActionError::Unknown(format!(
                "not sent within {:?}",
                self.timeout
            ))),
        }
    }
}

/// Whether the mail server has surely not taken the mail.
fn classify(error: &lettre::transport::smtp::Error) -> ActionError {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !why.contains(&text) {
            why = format!("{why}: {text}");
        }
        source = cause.source();
    }
    // the kind for a connection that was not made has no method of its own
    let is_connection = why.starts_with("Connection error");
    if error.is_permanent() || error.is_client() {
        ActionError::Failed(why)
    } else if error.is_transient() || error.is_tls() || is_connection {
        ActionError::Later { why, after: None }
    } else {
        ActionError::Unknown(why)
    }
}
