//! klog's flags: `--v` and `--logging-format` act, the others are accepted (IN-59, ruling 22).

use clap::{ArgAction, Args, ValueEnum};

use super::{duration, go_bool};

/// How log lines look.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggingFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Flags of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// Verbosity: up to 4 what is written and why not, 5 and more what was considered, 7 and more the data
    #[arg(short = 'v', long = "v", value_name = "LEVEL", default_value_t = 4)]
    pub verbosity: u8,

    /// Form of the log on stderr
    #[arg(long, value_enum, default_value_t = LoggingFormat::Text)]
    pub logging_format: LoggingFormat,

    /// Flags of klog that have no effect here.
    #[command(flatten)]
    pub accepted: AcceptedLogArgs,
}

impl Default for LogArgs {
    fn default() -> Self {
        Self { verbosity: 4, logging_format: LoggingFormat::Text, accepted: AcceptedLogArgs::default() }
    }
}

/// The log always goes to stderr, one line an event, unbuffered: what klog can do otherwise is accepted and ignored.
#[derive(Args, Clone, Debug, Default)]
pub struct AcceptedLogArgs {
    /// Accepted without effect.
    #[arg(long, value_name = "PATTERN=N", hide = true)]
    pub vmodule: Vec<String>,
    /// Accepted without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, value_parser = go_bool, action = ArgAction::Set)]
    pub logtostderr: bool,
    /// Accepted without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub alsologtostderr: bool,
    /// Accepted without effect.
    #[arg(long, alias = "add_dir_header", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub add_dir_header: bool,
    /// Accepted without effect.
    #[arg(long, alias = "one_output", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub one_output: bool,
    /// Accepted without effect.
    #[arg(long, alias = "skip_headers", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub skip_headers: bool,
    /// Accepted without effect.
    #[arg(long, alias = "skip_log_headers", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub skip_log_headers: bool,
    /// Accepted without effect.
    #[arg(long, alias = "log_backtrace_at", hide = true)]
    pub log_backtrace_at: Option<String>,
    /// Accepted without effect.
    #[arg(long, alias = "log_dir", hide = true)]
    pub log_dir: Option<String>,
    /// Accepted without effect.
    #[arg(long, alias = "log_file", hide = true)]
    pub log_file: Option<String>,
    /// Accepted without effect.
    #[arg(long, alias = "log_file_max_size", hide = true)]
    pub log_file_max_size: Option<u64>,
    /// Accepted without effect.
    #[arg(long, hide = true)]
    pub stderrthreshold: Option<String>,
    /// Accepted without effect.
    #[arg(long, hide = true, value_parser = duration)]
    pub log_flush_frequency: Option<std::time::Duration>,
    /// Accepted without effect.
    #[arg(long, hide = true)]
    pub log_json_info_buffer_size: Option<String>,
    /// Accepted without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub log_json_split_stream: bool,
    /// Accepted without effect.
    #[arg(long, hide = true)]
    pub log_text_info_buffer_size: Option<String>,
    /// Accepted without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub log_text_split_stream: bool,
}
