#include <string.h>

#include "cli/commands.h"
#include "cli/destination_options.h"

/* Everything that can be typed, and what it means. */

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define DATA_DEFAULT "/var/lib/holdfast"
#define SECOND 1000ULL
#define DAY (24 * 3600 * SECOND)
#define KIB 1024ULL
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)

#define OPTION_DATA \
	{ \
		"data", "DIR", OPTION_TEXT, OPTION_SETTING, DATA_DEFAULT, \
		    NULL, 0, 0, "The data directory." \
	}
#define OPTION_JSON \
	{ \
		"json", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0, \
		    "Prints one JSON object, for programs." \
	}

static const struct option serve_options[] = {
	{ "data", "DIR", OPTION_TEXT, OPTION_SETTING, DATA_DEFAULT, NULL, 0, 0,
	    "Where objects and their index are kept. Made if it is not there; "
	    "one "
	    "server owns it." },
	{ "listen", "ADDRESS:PORT", OPTION_ADDRESS,
	    OPTION_SETTING | OPTION_REPEATED, "127.0.0.1:9000", NULL, 0, 0,
	    "Where S3 clients connect. May be given again for further "
	    "addresses; "
	    "port 0 takes a free one, which the log names." },
	{ "admin-listen", "ADDRESS:PORT", OPTION_ADDRESS, OPTION_SETTING,
	    "127.0.0.1:9001", NULL, 0, 0,
	    "Where /healthz, /readyz and /metrics are served, over plain HTTP. "
	    "Nothing can be changed there." },
	{ "config", "FILE", OPTION_TEXT, OPTION_SETTING, NULL, NULL, 0, 0,
	    "Reads settings from an INI file: the names of these options "
	    "without their dashes, name = value. A section [destination NAME] "
	    "has the options of `holdfast destination add`; it wins over a "
	    "destination of that name that was set by command." },
	{ "credentials-file", "FILE", OPTION_TEXT, OPTION_SETTING, NULL, NULL,
	    0, 0,
	    "The administrator's key pair, in the form of AWS's credentials "
	    "file "
	    "(aws_access_key_id and aws_secret_access_key)." },
	{ "access-key", "NAME", OPTION_TEXT, OPTION_SETTING | OPTION_SECRET,
	    NULL, NULL, 0, 0, "The administrator's access key: any name." },
	{ "secret-key", "SECRET", OPTION_TEXT, OPTION_SETTING | OPTION_SECRET,
	    NULL, NULL, 0, 0,
	    "Its secret. Without a pair from anywhere, one is made at the "
	    "first "
	    "start, kept in DIR/credentials and printed once." },
	{ "domain", "NAME", OPTION_TEXT, OPTION_SETTING, NULL, NULL, 0, 0,
	    "Takes BUCKET.NAME in the Host header for the bucket (virtual-host "
	    "style), beside the bucket in the path." },
	{ "region", "NAME", OPTION_TEXT, OPTION_SETTING, NULL, NULL, 0, 0,
	    "Accepts only signatures for this region. Without it, any." },
	{ "tls-cert", "FILE", OPTION_TEXT, OPTION_SETTING, NULL, NULL, 0, 0,
	    "Serves S3 over HTTPS with this certificate chain (PEM). Read "
	    "again "
	    "on SIGHUP, and when the file changes." },
	{ "tls-key", "FILE", OPTION_TEXT, OPTION_SETTING, NULL, NULL, 0, 0,
	    "The certificate's private key (PEM)." },
	{ "tls-self-signed", "NAMES", OPTION_TEXT,
	    OPTION_SETTING | OPTION_OPTIONAL, NULL, NULL, 0, 0,
	    "Serves S3 over HTTPS with a certificate made here, under DIR/tls, "
	    "for these host names and addresses (separated by commas; without "
	    "any: this host's name, localhost and the addresses listened on). "
	    "Its "
	    "CA is printed at the start, for Velero's caCert." },
	{ "threads", "N", OPTION_NUMBER, OPTION_SETTING, NULL, NULL, 1, 256,
	    "Event-loop threads. Without it, one a processor." },
	{ "io-threads", "N", OPTION_NUMBER, OPTION_SETTING, "16", NULL, 1, 256,
	    "Threads that wait for the disk." },
	{ "max-connections", "N", OPTION_NUMBER, OPTION_SETTING, "4096", NULL,
	    1, 1000000, "Further ones are answered 503 SlowDown." },
	{ "head-timeout", "TIME", OPTION_DURATION, OPTION_SETTING, "20s", NULL,
	    100, DAY, "How long a client may take to send a request's head." },
	{ "idle-timeout", "TIME", OPTION_DURATION, OPTION_SETTING, "2m", NULL,
	    100, DAY, "How long a connection may be silent between requests." },
	{ "stall-timeout", "TIME", OPTION_DURATION, OPTION_SETTING, "30s", NULL,
	    100, DAY,
	    "Over how long --min-rate is measured before a client is cut "
	    "off." },
	{ "min-rate", "SIZE", OPTION_SIZE, OPTION_SETTING, "1KiB", NULL, 1,
	    1024 * MIB,
	    "Bytes a second that a client must send or take while a body is "
	    "under "
	    "way." },
	{ "drain-timeout", "TIME", OPTION_DURATION, OPTION_SETTING, "30s", NULL,
	    0, DAY,
	    "How long requests may go on after SIGTERM or SIGINT. A second "
	    "signal "
	    "ends at once." },
	{ "reserve", "SIZE", OPTION_SIZE, OPTION_SETTING, NULL, NULL, MIB,
	    1024 * TIB,
	    "Free space below which only small writes and deletes are taken. "
	    "Without it, 5 % of the file system, 512 MiB to 10 GiB." },
	{ "tier-high-water", "MARK", OPTION_TEXT, OPTION_SETTING, "off", NULL,
	    0, 0,
	    "Above so much use of the disk (80%, 900GiB, or off) contents that "
	    "are at a destination are given up here, least recently read "
	    "first; what is read is fetched again." },
	{ "inline-max", "SIZE", OPTION_SIZE, OPTION_SETTING, NULL, NULL, 1, MIB,
	    "Objects up to this size are kept in the index." },
	{ "upload-max-age", "TIME", OPTION_DURATION, OPTION_SETTING, "24h",
	    NULL, 60 * SECOND, 3650 * DAY,
	    "Multipart uploads that nobody completed are aborted at this "
	    "age." },
	{ "scrub-rate", "SIZE", OPTION_SIZE, OPTION_SETTING, "8MiB", NULL, 0,
	    1024 * 1024 * MIB,
	    "Bytes a second that the scrubber reads to find damage early; 0 "
	    "turns "
	    "it off." },
	{ "scrub-interval", "TIME", OPTION_DURATION, OPTION_SETTING, "7d", NULL,
	    SECOND, 3650 * DAY,
	    "How long from the start of one of its rounds to the next." },
	{ "audit-interval", "TIME", OPTION_DURATION, OPTION_SETTING, "24h",
	    NULL, 0, 365 * DAY,
	    "How often each destination's listing is compared with what is "
	    "here; 0: only when asked (`holdfast audit`)." },
	{ "hold-time", "TIME", OPTION_DURATION, OPTION_SETTING, "7d", NULL,
	    SECOND, 3650 * DAY,
	    "How long deletes are kept back outside under the recovery hold, "
	    "which a restore begins." },
	{ "copy-interval", "TIME", OPTION_DURATION, OPTION_SETTING, "6h", NULL,
	    0, 365 * DAY,
	    "How often the index is copied while running, for `holdfast "
	    "rebuild`; "
	    "0s turns it off." },
	{ "access-log", "FILE", OPTION_TEXT, OPTION_SETTING, "off", NULL, 0, 0,
	    "One JSON line for each request: to a file (opened again on "
	    "SIGHUP), "
	    "to standard output (-), or off." },
	{ "log-level", "LEVEL", OPTION_CHOICE, OPTION_SETTING, "info",
	    "debug|info|warn|error", 0, 0,
	    "The least that is logged, on standard error: debug, info, warn or "
	    "error." },
	{ "replicate-unordered", NULL, OPTION_FLAG, OPTION_HIDDEN, NULL, NULL,
	    0, 0,
	    "Breaks the order of external copies, for tests that must "
	    "notice." },
	{ "core-dumps", NULL, OPTION_FLAG, OPTION_SETTING | OPTION_HIDDEN, NULL,
	    NULL, 0, 0,
	    "Lets the process be dumped and traced, secrets and all." },
};

static const struct option key_add_options[] = {
	OPTION_DATA,
	{ "rights", "LIST", OPTION_TEXT, 0, "read,write,list,delete", NULL, 0,
	    0,
	    "Which of read, write, list, delete and admin; admin (making and "
	    "changing buckets) has the others with it." },
	{ "bucket", "BUCKET", OPTION_TEXT, 0, NULL, NULL, 0, 0,
	    "Only in this bucket." },
	{ "prefix", "PREFIX", OPTION_TEXT, 0, NULL, NULL, 0, 0,
	    "Only for names that begin with this." },
	{ "access-key", "KEY", OPTION_TEXT, 0, NULL, NULL, 0, 0,
	    "The access key to have. Without it, one is made." },
	{ "secret-from", "FILE", OPTION_TEXT, 0, NULL, NULL, 0, 0,
	    "Reads the secret to have from the first line of a file, or of "
	    "standard input (-). Without it, one is made." },
	OPTION_JSON,
};

static const struct option data_options[] = {
	OPTION_DATA,
};

static const struct option list_options[] = {
	OPTION_DATA,
	OPTION_JSON,
};

static const struct option bucket_add_options[] = {
	OPTION_DATA,
	{ "quota", "SIZE", OPTION_SIZE, 0, NULL, NULL, 1, 0,
	    "The most that it may hold." },
	{ "versioning", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Keeps what is overwritten or deleted as versions." },
	{ "if-missing", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Succeeds, changing nothing, if there is such a bucket." },
};

static const struct option destination_add_options[] = {
	OPTION_DATA,
	DESTINATION_FIELDS,
	{ "take-over", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Takes a path that another store owns; that one stops sending." },
};

static const struct option destination_set_options[] = {
	OPTION_DATA,
	DESTINATION_FIELDS,
	{ "clear", "NAMES", OPTION_TEXT, OPTION_REPEATED, NULL, NULL, 0, 0,
	    "Takes settings away, by the names of these options, separated by "
	    "commas, so that they are as if they had never been given." },
};

static const struct option resume_options[] = {
	OPTION_DATA,
	{ "accept-deletes", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Agrees to the deletes that the brake asks about. On a terminal "
	    "it asks." },
};

static const struct option hold_end_options[] = {
	OPTION_DATA,
	{ "kept", "WHAT", OPTION_CHOICE, 0, NULL, "send|wait|drop", 0, 0,
	    "What becomes of the deletes that are kept back. send: they "
	    "follow outside at once; wait: each when its time has come; drop: "
	    "the objects come back here. On a terminal it asks." },
};

static const struct option destination_test_options[] = {
	OPTION_DATA,
	DESTINATION_FIELDS,
	OPTION_JSON,
};

static const struct option restore_options[] = {
	OPTION_DATA,
	{ "from", "NAME", OPTION_TEXT, 0, NULL, NULL, 0, 0,
	    "The destination, as `holdfast destination add` named it; with "
	    "--provider, as it is to be named from now on (outside without "
	    "this)." },
	{ "look", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Only says what is there." },
	{ "take-over", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Even though the store that owns the path seems to be at work." },
	{ "wait", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Ends when all contents are here." },
	DESTINATION_FIELDS,
	OPTION_JSON,
};

static const struct option audit_options[] = {
	OPTION_DATA,
	{ "read-data", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Reads every byte there, too, and compares it." },
	{ "rate", "SIZE", OPTION_SIZE, 0, "32MiB", NULL, 1024,
	    1024 * 1024 * MIB, "Bytes a second that are read there." },
	OPTION_JSON,
};

static const struct option check_options[] = {
	{ "read-data", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Reads all contents, too, and compares their checksums." },
	OPTION_JSON,
};

static const struct option rebuild_options[] = {
	{ "force", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Even though the index is sound." },
	OPTION_JSON,
};

static const struct option help_options[] = {
	{ "man", NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0,
	    "Prints the manual page in roff." },
};

#define CONTROL_DETAILS \
	"Works while a server runs on the data directory (through " \
	"DIR/control.sock) " \
	"and takes effect at once; without a server it changes the directory " \
	"itself."

const struct command commands[] = {
	{ "serve", NULL, 0, 0, "run the server",
	    "Serves S3 from a data directory until SIGTERM or SIGINT, which "
	    "let "
	    "requests under way end first. SIGHUP reads the TLS certificate "
	    "again "
	    "and opens the access log again.\n\n"
	    "Each option may also be set in the environment (HOLDFAST_ and its "
	    "name: HOLDFAST_ADMIN_LISTEN) or in the configuration file. The "
	    "command line wins over the environment, and the environment over "
	    "the "
	    "file.",
	    serve_options, N(serve_options), run_serve },
	{ "key add", "NAME", 1, 1, "make an access key for a client",
	    "Prints the access key and its secret, which is shown only now. "
	    "NAME is what people call it.\n\n" CONTROL_DETAILS,
	    key_add_options, N(key_add_options), run_key_add },
	{ "key list", NULL, 0, 0, "show the access keys and what they may do",
	    CONTROL_DETAILS, list_options, N(list_options), run_key_list },
	{ "key remove", "KEY", 1, 1, "remove an access key",
	    "KEY is an access key or the name of one.\n\n" CONTROL_DETAILS,
	    data_options, N(data_options), run_key_remove },
	{ "bucket add", "BUCKET", 1, 1, "make a bucket", CONTROL_DETAILS,
	    bucket_add_options, N(bucket_add_options), run_bucket_add },
	{ "bucket list", NULL, 0, 0, "show the buckets and what they hold",
	    CONTROL_DETAILS, list_options, N(list_options), run_bucket_list },
	{ "bucket remove", "BUCKET", 1, 1, "remove an empty bucket",
	    CONTROL_DETAILS, data_options, N(data_options), run_bucket_remove },
	{ "bucket quota", "BUCKET SIZE|none", 2, 2,
	    "limit what a bucket may hold", CONTROL_DETAILS, data_options,
	    N(data_options), run_bucket_quota },
	{ "bucket versioning", "BUCKET enabled|suspended", 2, 2,
	    "keep what is overwritten or deleted as versions, or stop to",
	    CONTROL_DETAILS, data_options, N(data_options),
	    run_bucket_versioning },
	{ "destination add", "NAME", 1, 1,
	    "keep a copy of everything at a place outside",
	    "From then on every object goes there, in an order that keeps the "
	    "copy usable at every instant; what is there already goes first. "
	    "NAME is what people call it.",
	    destination_add_options, N(destination_add_options),
	    run_destination_add },
	{ "destination set", "NAME", 1, 1, "change a destination's settings",
	    "Settings that are not named stay as they are, secrets too. An "
	    "empty text takes one away (--proxy \"\"), and a flag is turned "
	    "off "
	    "by no (--use-instance-role=no). Another place or other prefixes "
	    "begin a new copy.",
	    destination_set_options, N(destination_set_options),
	    run_destination_set },
	{ "destination test", "[NAME]", 0, 1,
	    "try each thing that a destination must be able to do",
	    "A row each, of a saved destination or with the given fields; "
	    "nothing is left behind. Exit status: 0 all passed, 1 not.",
	    destination_test_options, N(destination_test_options),
	    run_destination_test },
	{ "destination list", NULL, 0, 0,
	    "show the destinations and how far behind each is", NULL,
	    list_options, N(list_options), run_destination_list },
	{ "destination wait", "NAME", 1, 1,
	    "wait until a destination has caught up",
	    "Shows how far its copy is, the first one too, until all that was "
	    "written so far is there. Exit status: 0 it has, 1 it is paused or "
	    "stopped, for the reason that is said.",
	    data_options, N(data_options), run_destination_wait },
	{ "destination pause", "NAME", 1, 1, "send nothing until resumed", NULL,
	    data_options, N(data_options), run_destination_pause },
	{ "destination resume", "NAME", 1, 1, "send again what waits",
	    "When the brake has paused it, because an unusual share of objects "
	    "was deleted, it asks whether these deletes may follow.",
	    resume_options, N(resume_options), run_destination_resume },
	{ "destination log", "[NAME]", 0, 1,
	    "show who changed which destination, and what",
	    "From DIR/audit.log, which has no secrets. Who: the user at the "
	    "other end of the control socket.",
	    list_options, N(list_options), run_destination_log },
	{ "destination remove", "NAME", 1, 1,
	    "forget a destination; nothing there is changed", NULL,
	    data_options, N(data_options), run_destination_remove },
	{ "backup list", NULL, 0, 0,
	    "show Velero's backups and how far each is outside",
	    "Of each, by destination: local, partly outside, outside, or "
	    "verified: an audit has compared all of it, by checksums or byte "
	    "by byte, and nothing of it has changed since.",
	    list_options, N(list_options), run_backup_list },
	{ "audit", "DESTINATION", 1, 1,
	    "compare a destination with what is here",
	    "Compares the listing there with what is here, by size and "
	    "checksum, at a limited rate. What is missing or differs there is "
	    "sent again; what is there alone is told and left as it is. A "
	    "running server does so by itself once a day (--audit-interval). "
	    "Exit status: 0 the same, 1 differences found, 2 wrong usage, 3 "
	    "could not compare.",
	    audit_options, N(audit_options), run_audit },
	{ "restore", NULL, 0, 0, "make an empty store anew from a destination",
	    "From a destination that is known (--from), or by the fields of "
	    "one (--provider and more, as with `holdfast destination add`), "
	    "which is added then. Says what is there, takes the path over and "
	    "learns the objects; reads are right from the first second, and "
	    "contents are "
	    "fetched behind them, of the newest Velero backup first. Ends when "
	    "all is known. Without either, shows how far a restore is. A "
	    "recovery hold begins: deletes are kept back outside for some "
	    "days (`holdfast serve --hold-time`), "
	    "until `holdfast hold end`.",
	    restore_options, N(restore_options), run_restore },
	{ "hold end", NULL, 0, 0, "end the recovery hold",
	    "Deletes follow outside as they did before. Asks what becomes of "
	    "those that are kept back.",
	    hold_end_options, N(hold_end_options), run_hold_end },
	{ "hold undelete", "BUCKET/KEY", 1, 1,
	    "give back an object whose delete is kept back", NULL, data_options,
	    N(data_options), run_hold_undelete },
	{ "hold", NULL, 0, 0,
	    "show whether deletes are kept back after a restore", NULL,
	    list_options, N(list_options), run_hold },
	{ "status", NULL, 0, 0, "show what a store holds and how it fares",
	    "With a server on the data directory, also what the server does.",
	    list_options, N(list_options), run_status },
	{ "check", "DIR", 1, 1, "look for damage in a data directory",
	    "Checks every record and file against each other while no server "
	    "runs, and changes nothing. Exit status: 0 sound, 1 damage found, "
	    "2 "
	    "wrong usage, 3 could not check.",
	    check_options, N(check_options), run_check },
	{ "rebuild", "DIR", 1, 1, "make a lost or damaged index anew",
	    "Makes a new index from the last copy of the old one and from the "
	    "files of the data directory, while no server runs. Nothing is "
	    "destroyed: the old index is set aside as index.damaged-TIME, and "
	    "files that cannot be placed go to lost/.\n\n"
	    "What is in the index alone cannot come back: small objects, "
	    "copies, "
	    "tags and settings that are newer than its last copy. An object "
	    "that "
	    "was deleted since then may be back. Each such thing is told. Exit "
	    "status: 0 all is back, 1 something is lost or doubtful, 2 wrong "
	    "usage, 3 could not rebuild.",
	    rebuild_options, N(rebuild_options), run_rebuild },
	{ "help", "[COMMAND]", 0, 2, "explain a command", NULL, help_options,
	    N(help_options), run_help },
	{ "version", NULL, 0, 0, "print the version", NULL, help_options, 0,
	    run_version },
};

const size_t n_commands = N(commands);

/* How many words of argv the command's name is; 0 when it is not named. */
static int
matches(const struct command *command, int argc, char **argv)
{
	const char *blank = strchr(command->name, ' ');
	size_t len;

	if (blank == NULL)
		return argc > 0 && strcmp(argv[0], command->name) == 0;
	len = (size_t)(blank - command->name);
	return argc > 1 && strlen(argv[0]) == len &&
		memcmp(argv[0], command->name, len) == 0 &&
		strcmp(argv[1], blank + 1) == 0
	    ? 2
	    : 0;
}

const struct command *
command_find(int argc, char **argv, int *taken)
{
	size_t i;

	for (i = 0; i < n_commands; i++)
		if ((*taken = matches(&commands[i], argc, argv)) > 0)
			return &commands[i];
	return NULL;
}
