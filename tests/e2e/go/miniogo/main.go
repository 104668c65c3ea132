// Calls an S3 service as kopia's blob storage does with minio-go, and checks the answers that kopia relies on.
//
// It prints one line a step and exits 1 at the first answer that would mislead kopia.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

var (
	endpoint = flag.String("endpoint", "", "HOST:PORT of the S3 service")
	caFile   = flag.String("ca", "", "PEM file with the CA to trust; empty is plain HTTP")
	bucket   = flag.String("bucket", "", "bucket, which must exist")
	prefix   = flag.String("prefix", "kopia/default/", "where the keys begin")
)

type storage struct{ *minio.Client }

func open() (*storage, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if *caFile != "" {
		pem, err := os.ReadFile(*caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", *caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client, err := minio.New(*endpoint, &minio.Options{
		Creds:     credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		Secure:    *caFile != "",
		Transport: transport,
		Region:    "us-east-1",
	})
	return &storage{client}, err
}

// put is one request whatever the size, with Content-MD5, then a HEAD for the time the store gave it.
func (s *storage) put(ctx context.Context, blob string, data []byte) (time.Time, error) {
	info, err := s.PutObject(ctx, *bucket, *prefix+blob, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
		ContentType:      "application/x-kopia",
		SendContentMd5:   true,
		DisableMultipart: true,
	})
	if err != nil {
		return time.Time{}, err
	}
	sum := md5.Sum(data)
	if info.ETag != hex.EncodeToString(sum[:]) {
		return time.Time{}, fmt.Errorf("ETag %s is not the MD5 %x", info.ETag, sum)
	}
	head, err := s.StatObject(ctx, *bucket, *prefix+blob, minio.StatObjectOptions{})
	if err != nil {
		return time.Time{}, err
	}
	if head.Size != int64(len(data)) {
		return time.Time{}, fmt.Errorf("HEAD says %d bytes, sent %d", head.Size, len(data))
	}
	return head.LastModified, nil
}

// get asks for a range; of an empty one it asks for two bytes and drops them, to learn whether the blob is there.
func (s *storage) get(ctx context.Context, blob string, offset, length int64) ([]byte, error) {
	var opt minio.GetObjectOptions
	var err error
	switch {
	case length > 0:
		err = opt.SetRange(offset, offset+length-1)
	case length == 0:
		err = opt.SetRange(0, 1)
	}
	if err != nil {
		return nil, err
	}
	o, err := s.GetObject(ctx, *bucket, *prefix+blob, opt)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		return nil, err
	}
	if length == 0 {
		return nil, nil
	}
	return data, nil
}

func (s *storage) list(ctx context.Context, blobPrefix string) (blobs []string, err error) {
	for o := range s.ListObjects(ctx, *bucket, minio.ListObjectsOptions{Prefix: *prefix + blobPrefix}) {
		if o.Err != nil {
			return nil, o.Err
		}
		blobs = append(blobs, strings.TrimPrefix(o.Key, *prefix))
	}
	return blobs, nil
}

func status(err error) int {
	var resp minio.ErrorResponse
	if errors.As(err, &resp) {
		return resp.StatusCode
	}
	return 0
}

func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func (s *storage) missing(ctx context.Context) error {
	_, err := s.get(ctx, "p-none", 0, -1)
	if status(err) != http.StatusNotFound {
		return fmt.Errorf("GET of a missing blob: %v", err)
	}
	_, err = s.get(ctx, "p-none", 0, 0)
	if status(err) != http.StatusNotFound {
		return fmt.Errorf("empty GET of a missing blob: %v", err)
	}
	_, err = s.StatObject(ctx, *bucket, *prefix+"p-none", minio.StatObjectOptions{})
	if status(err) != http.StatusNotFound {
		return fmt.Errorf("HEAD of a missing blob: %v", err)
	}
	return s.RemoveObject(ctx, *bucket, *prefix+"p-none", minio.RemoveObjectOptions{})
}

func (s *storage) ranges(ctx context.Context) error {
	data := []byte("0123456789abcdef")
	if _, err := s.put(ctx, "p-range", data); err != nil {
		return err
	}
	for _, r := range [][2]int64{{0, 1}, {0, 16}, {3, 5}, {15, 1}} {
		got, err := s.get(ctx, "p-range", r[0], r[1])
		if err != nil || !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
			return fmt.Errorf("range %v: %q, %v", r, got, err)
		}
	}
	if _, err := s.get(ctx, "p-range", 0, 0); err != nil {
		return fmt.Errorf("empty read: %v", err)
	}
	if _, err := s.get(ctx, "p-range", 16, 1); status(err) != http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("range past the end: %v", err)
	}
	return nil
}

func (s *storage) empty(ctx context.Context) error {
	if _, err := s.put(ctx, "p-empty", nil); err != nil {
		return err
	}
	got, err := s.get(ctx, "p-empty", 0, -1)
	if err != nil || len(got) != 0 {
		return fmt.Errorf("whole read: %d bytes, %v", len(got), err)
	}
	_, err = s.get(ctx, "p-empty", 0, 0)
	return check(status(err) == http.StatusRequestedRangeNotSatisfiable, "range of an empty blob: %v", err)
}

func (s *storage) badMD5(ctx context.Context) error {
	data := []byte("what is sent")
	core := minio.Core{Client: s.Client}
	_, err := core.PutObject(ctx, *bucket, *prefix+"p-bad", bytes.NewReader(data), int64(len(data)),
		"MTIzNDU2Nzg5MDEyMzQ1Ng==", "", minio.PutObjectOptions{})
	if minio.ToErrorResponse(err).Code != "BadDigest" {
		return fmt.Errorf("wrong Content-MD5: %v", err)
	}
	_, err = s.get(ctx, "p-bad", 0, -1)
	return check(status(err) == http.StatusNotFound, "a refused blob is there: %v", err)
}

// pack writes what a snapshot would, from several goroutines, and reads all of it back.
func (s *storage) pack(ctx context.Context) error {
	began := time.Now().Add(-2 * time.Second)
	random := rand.New(rand.NewSource(1))
	blobs := map[string][]byte{}
	for i := 0; i < 40; i++ {
		size := 20 << 10
		if i%10 == 0 {
			size = 21 << 20 / 2
		}
		data := make([]byte, size+i)
		random.Read(data)
		blobs[fmt.Sprintf("%c%032x", "pqxn"[i%4], i*7919)] = data
	}
	names := make(chan string)
	fail := make(chan error, 8)
	var wg sync.WaitGroup
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for name := range names {
				at, err := s.put(ctx, name, blobs[name])
				if err == nil && (at.Before(began.Truncate(time.Second)) || at.After(time.Now().Add(2*time.Second))) {
					err = fmt.Errorf("Last-Modified %v is not the wall clock %v", at, time.Now())
				}
				var got []byte
				if err == nil {
					got, err = s.get(ctx, name, 0, -1)
				}
				if err == nil && !bytes.Equal(got, blobs[name]) {
					err = fmt.Errorf("bytes differ")
				}
				if err != nil {
					select {
					case fail <- fmt.Errorf("blob %s: %w", name, err):
					default:
					}
				}
			}
		}()
	}
	for name := range blobs {
		names <- name
	}
	close(names)
	wg.Wait()
	select {
	case err := <-fail:
		return err
	default:
	}

	for _, kind := range []string{"p0", "q", "x", "n"} {
		var want []string
		for name := range blobs {
			if strings.HasPrefix(name, kind) {
				want = append(want, name)
			}
		}
		sort.Strings(want)
		got, err := s.list(ctx, kind)
		if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
			return fmt.Errorf("list %s: %v, %v, want %v", kind, got, err, want)
		}
	}
	return nil
}

// stream is a writer that does not know its length: minio-go makes it multipart.
func (s *storage) stream(ctx context.Context) error {
	data := bytes.Repeat([]byte("stream of unknown length "), 17<<20/25)
	_, err := s.PutObject(ctx, *bucket, *prefix+"s-stream", struct{ io.Reader }{bytes.NewReader(data)}, -1,
		minio.PutObjectOptions{PartSize: 5 << 20})
	if err != nil {
		return err
	}
	got, err := s.get(ctx, "s-stream", 0, -1)
	if err != nil {
		return err
	}
	return check(bytes.Equal(got, data), "%d bytes back differ from the %d sent", len(got), len(data))
}

func (s *storage) sweep(ctx context.Context) error {
	blobs, err := s.list(ctx, "")
	if err != nil {
		return err
	}
	objects := make(chan minio.ObjectInfo)
	go func() {
		defer close(objects)
		for _, b := range blobs {
			objects <- minio.ObjectInfo{Key: *prefix + b}
		}
	}()
	for e := range s.RemoveObjects(ctx, *bucket, objects, minio.RemoveObjectsOptions{}) {
		return fmt.Errorf("delete %s: %w", e.ObjectName, e.Err)
	}
	left, err := s.list(ctx, "")
	if err != nil {
		return err
	}
	return check(len(left) == 0 && len(blobs) > 40, "%d of %d blobs left", len(left), len(blobs))
}

func run(ctx context.Context) error {
	s, err := open()
	if err != nil {
		return err
	}
	if there, err := s.BucketExists(ctx, *bucket); err != nil || !there {
		return fmt.Errorf("bucket %s: exists %v, %v", *bucket, there, err)
	}
	if there, err := s.BucketExists(ctx, *bucket+"-none"); err != nil || there {
		return fmt.Errorf("missing bucket: exists %v, %v", there, err)
	}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"missing", s.missing}, {"ranges", s.ranges}, {"empty", s.empty}, {"badMD5", s.badMD5},
		{"pack", s.pack}, {"stream", s.stream}, {"sweep", s.sweep},
	} {
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println("ok", step.name)
	}
	return nil
}

func main() {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "miniogo:", err)
		os.Exit(1)
	}
}
