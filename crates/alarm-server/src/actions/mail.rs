//! `mailto:` by SMTP.

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

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

    /// Sends one mail to each address.
    pub(super) async fn send(
        &self,
        addresses: &[String],
        subject: &str,
        body: &str,
    ) -> Result<(), ActionError> {
        let mut failures = Vec::new();
        for address in addresses {
            if let Err(error) = self.send_one(address, subject, body).await {
                failures.push(format!("`{address}`: {error}"));
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(ActionError::Failed(failures.join("; ")))
        }
    }

    async fn send_one(&self, address: &str, subject: &str, body: &str) -> Result<(), String> {
        let to: Mailbox = address.parse().map_err(|error| format!("{error}"))?;
        // a header is one line
        let subject: String = subject
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .collect();
        let message = Message::builder()
            .from(self.sender.clone())
            .to(to)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body.to_owned())
            .map_err(|error| error.to_string())?;
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_accepted)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("not sent within {:?}", self.timeout)),
        }
    }
}
