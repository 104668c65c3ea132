// Stores a tree of files as Velero's AWS plugin did on SDK v1 (up to plugin 1.8), and reads it back the same ways.
//
// It prints one line a step and exits 1 at the first answer that is not what the plugin relies on.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/s3"
	"github.com/aws/aws-sdk-go/service/s3/s3manager"
)

var (
	endpoint = flag.String("endpoint", "", "URL of the S3 service")
	caFile   = flag.String("ca", "", "PEM file with the CA to trust")
	bucket   = flag.String("bucket", "", "bucket, which must exist")
	prefix   = flag.String("prefix", "velero/", "where the keys begin")
	dir      = flag.String("dir", "", "tree of files to store")
)

type store struct {
	http     *http.Client
	client   *s3.S3
	uploader *s3manager.Uploader
}

// reader hides everything but Read, as the plugin's gRPC stream does.
type reader struct{ io.Reader }

func open() (*store, error) {
	hc := &http.Client{Timeout: time.Minute}
	opts := session.Options{Config: aws.Config{
		Region: aws.String("us-east-1"), Endpoint: endpoint,
		S3ForcePathStyle: aws.Bool(true), HTTPClient: hc}}
	if *caFile != "" {
		pem, err := os.ReadFile(*caFile)
		if err != nil {
			return nil, err
		}
		opts.CustomCABundle = bytes.NewReader(pem)
	}
	sess, err := session.NewSessionWithOptions(opts)
	if err != nil {
		return nil, err
	}
	return &store{hc, s3.New(sess), s3manager.NewUploader(sess)}, nil
}

func (s *store) put(key string, body io.Reader) error {
	_, err := s.uploader.Upload(&s3manager.UploadInput{Bucket: bucket, Key: &key, Body: reader{body}})
	return err
}

func (s *store) get(key string) ([]byte, error) {
	out, err := s.client.GetObject(&s3.GetObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	if enc := aws.StringValue(out.ContentEncoding); enc != "" {
		return nil, fmt.Errorf("Content-Encoding is %q", enc)
	}
	return io.ReadAll(out.Body)
}

func (s *store) exists(key string) (bool, error) {
	_, err := s.client.HeadObject(&s3.HeadObjectInput{Bucket: bucket, Key: &key})
	if aerr, ok := err.(awserr.Error); ok && aerr.Code() == "NotFound" {
		return false, nil
	}
	return err == nil, err
}

func (s *store) list(delimiter string) (keys, prefixes []string, err error) {
	in := &s3.ListObjectsV2Input{Bucket: bucket, Prefix: prefix, MaxKeys: aws.Int64(2)}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	err = s.client.ListObjectsV2Pages(in, func(page *s3.ListObjectsV2Output, last bool) bool {
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			prefixes = append(prefixes, *p.Prefix)
		}
		return !last
	})
	return keys, prefixes, err
}

func (s *store) presigned(key string) ([]byte, error) {
	req, _ := s.client.GetObjectRequest(&s3.GetObjectInput{Bucket: bucket, Key: &key})
	url, err := req.Presign(10 * time.Minute)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Config.HTTPClient.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("presigned GET: %s: %s", resp.Status, body)
	}
	return body, err
}

func tree(root string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		files[*prefix+filepath.ToSlash(rel)] = path
		return err
	})
	return files, err
}

func run() error {
	s, err := open()
	if err != nil {
		return err
	}
	files, err := tree(*dir)
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(files))
	for key := range files {
		keys = append(keys, key)
	}
	sort.Strings(keys)

	for _, key := range keys {
		if there, err := s.exists(key); err != nil || there {
			return fmt.Errorf("before the upload of %s: exists %v, %v", key, there, err)
		}
		want, err := os.ReadFile(files[key])
		if err != nil {
			return err
		}
		if err := s.put(key, bytes.NewReader(want)); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		for how, read := range map[string]func(string) ([]byte, error){"get": s.get, "presigned": s.presigned} {
			got, err := read(key)
			if err != nil {
				return fmt.Errorf("%s %s: %w", how, key, err)
			}
			if !bytes.Equal(got, want) {
				return fmt.Errorf("%s %s: %d bytes differ from the %d sent", how, key, len(got), len(want))
			}
		}
		if there, err := s.exists(key); err != nil || !there {
			return fmt.Errorf("after the upload of %s: exists %v, %v", key, there, err)
		}
		fmt.Println("stored", key, len(want))
	}

	listed, _, err := s.list("")
	if err != nil {
		return err
	}
	if strings.Join(listed, "\n") != strings.Join(keys, "\n") {
		return fmt.Errorf("listed %q, stored %q", listed, keys)
	}
	_, prefixes, err := s.list("/")
	if err != nil {
		return err
	}
	for _, p := range prefixes {
		fmt.Println("prefix", p)
	}

	gone := keys[0]
	if _, err := s.client.DeleteObject(&s3.DeleteObjectInput{Bucket: bucket, Key: &gone}); err != nil {
		return err
	}
	if there, err := s.exists(gone); err != nil || there {
		return fmt.Errorf("after the delete of %s: exists %v, %v", gone, there, err)
	}
	fmt.Println("deleted", gone)
	return nil
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "awsv1:", err)
		os.Exit(1)
	}
}
