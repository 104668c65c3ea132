// Velero's own persistence layer and plugin manager, driven from the command line: what the server does with a backup
// storage location, without a cluster. Bytes go through the real plugin, a process of its own that Velero starts.
//
//	velero -plugin FILE -endpoint URL -bucket B [-prefix P] COMMAND [NAME]
//
// put NAME stores a backup as the backup controller does when the plugins still work on it; finish NAME, as it does when
// they are through. The answers of the others are lines on standard output.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"sort"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/vmware-tanzu/velero/pkg/apis/velero/v1"
	"github.com/vmware-tanzu/velero/pkg/persistence"
	"github.com/vmware-tanzu/velero/pkg/plugin/clientmgmt"
	"github.com/vmware-tanzu/velero/pkg/plugin/clientmgmt/process"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework/common"
)

var (
	plugin      = flag.String("plugin", "", "the plugin's program")
	endpoint    = flag.String("endpoint", "", "s3Url")
	bucket      = flag.String("bucket", "", "bucket")
	prefix      = flag.String("prefix", "", "prefix")
	credentials = flag.String("credentials", "", "credentials file")
	ca          = flag.String("ca", "", "CA certificate file")
	checksum    = flag.String("checksum", "default", "checksumAlgorithm; default leaves it out")
	size        = flag.Int("size", 12<<20, "bytes of the backup's contents")
)

// onePlugin is the registry of a Velero that has one plugin.
type onePlugin struct{ process.Registry }

func (onePlugin) Get(kind common.PluginKind, name string) (framework.PluginIdentifier, error) {
	return framework.PluginIdentifier{Command: *plugin, Kind: kind, Name: name}, nil
}

func location() *velerov1.BackupStorageLocation {
	var l velerov1.BackupStorageLocation
	l.Name, l.Namespace = "default", "velero"
	l.Spec.Provider = "velero.io/aws"
	l.Spec.Config = map[string]string{"region": "us-east-1", "s3Url": *endpoint, "s3ForcePathStyle": "true",
		"credentialsFile": *credentials}
	if *checksum != "default" {
		l.Spec.Config["checksumAlgorithm"] = *checksum
	}
	l.Spec.ObjectStorage = &velerov1.ObjectStorageLocation{Bucket: *bucket, Prefix: *prefix}
	if *ca != "" {
		l.Spec.ObjectStorage.CACert = must(os.ReadFile(*ca))
	}
	return &l
}

func metadata(name string, phase velerov1.BackupPhase) io.Reader {
	b := velerov1.Backup{TypeMeta: metav1.TypeMeta{APIVersion: "velero.io/v1", Kind: "Backup"}}
	b.Name, b.Namespace, b.Status.Phase = name, "velero", phase
	return bytes.NewReader(must(json.Marshal(b)))
}

// contents are the same for a name, and do not compress.
func contents(name string) *bytes.Reader {
	seed := int64(0)
	for _, c := range name {
		seed = seed*31 + int64(c)
	}
	b := make([]byte, *size)
	rand.New(rand.NewSource(seed)).Read(b)
	return bytes.NewReader(b)
}

func zipped(v any) io.Reader {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	check(json.NewEncoder(z).Encode(v))
	check(z.Close())
	return bytes.NewReader(b.Bytes())
}

func put(s persistence.BackupStore, name string) {
	check(s.PutBackup(persistence.BackupInfo{
		Name: name, Metadata: metadata(name, velerov1.BackupPhaseWaitingForPluginOperations), Contents: contents(name),
		Log: zipped("a log"), BackupResults: zipped(map[string]any{}), PodVolumeBackups: zipped([]any{}),
		VolumeSnapshots: zipped([]any{}), BackupItemOperations: zipped([]any{}), BackupVolumeInfo: zipped([]any{}),
		BackupResourceList: zipped(map[string][]string{"v1/Pod": {"default/web"}}),
	}))
}

func finish(s persistence.BackupStore, name string) {
	check(s.PutBackupItemOperations(name, zipped([]any{})))
	check(s.PutBackupContents(name, contents(name)))
	check(s.PutBackupMetadata(name, metadata(name, velerov1.BackupPhaseCompleted)))
}

// verify reads a backup as a restore does.
func verify(s persistence.BackupStore, name string) {
	b, err := s.GetBackupMetadata(name)
	check(err)
	_, err = s.GetPodVolumeBackups(name)
	check(err)
	_, err = s.GetBackupVolumeInfos(name)
	check(err)
	_, err = s.GetBackupItemOperations(name)
	check(err)
	r, err := s.GetBackupContents(name)
	check(err)
	same(must(io.ReadAll(r)), name)
	check(r.Close())
	fmt.Println(b.Status.Phase)
}

// download takes the contents by a presigned URL, as `velero backup download` does.
func download(s persistence.BackupStore, name string) {
	url, err := s.GetDownloadURL(velerov1.DownloadTarget{Kind: velerov1.DownloadTargetKindBackupContents, Name: name})
	check(err)
	answer, err := http.Get(url)
	check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		check(fmt.Errorf("%s", answer.Status))
	}
	same(must(io.ReadAll(answer.Body)), name)
}

func same(got []byte, name string) {
	if !bytes.Equal(got, must(io.ReadAll(contents(name)))) {
		check(fmt.Errorf("the contents of %s differ: %d bytes", name, len(got)))
	}
}

func restored(s persistence.BackupStore, name string) {
	check(s.PutRestoreLog(name, name+"-restore", zipped("a log")))
	check(s.PutRestoreResults(name, name+"-restore", zipped(map[string]any{})))
	check(s.PutRestoredResourceList(name+"-restore", zipped(map[string][]string{})))
}

func list(s persistence.BackupStore, _ string) {
	names := must(s.ListBackups())
	sort.Strings(names)
	for _, name := range names {
		// A directory is a backup for Velero once its metadata is there.
		if must(s.BackupExists(*bucket, name)) {
			fmt.Println(name)
		}
	}
}

var commands = map[string]func(persistence.BackupStore, string){
	"put": put, "finish": finish, "verify": verify, "download": download, "restored": restored, "list": list,
	"valid":  func(s persistence.BackupStore, _ string) { check(s.IsValid()) },
	"delete": func(s persistence.BackupStore, name string) { check(s.DeleteBackup(name)) },
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

var manager clientmgmt.Manager

func check(err error) {
	if err != nil {
		if manager != nil {
			manager.CleanupClients()
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	flag.Parse()
	os.Args = []string{os.Args[0], "server"} // Velero hands what follows to its plugins
	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	manager = clientmgmt.NewManager(log, log.Level, onePlugin{})
	store, err := persistence.NewObjectBackupStoreGetter(nil).Get(location(), manager, log)
	check(err)
	run, known := commands[flag.Arg(0)]
	if !known {
		check(fmt.Errorf("no command %q", flag.Arg(0)))
	}
	run(store, flag.Arg(1))
	manager.CleanupClients()
}
