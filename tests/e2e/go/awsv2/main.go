// Stores a tree of files as Velero's AWS plugin does on SDK v2, and reads it back the same ways.
//
// It prints one line a step and exits 1 at the first answer that is not what the plugin relies on.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var (
	endpoint = flag.String("endpoint", "", "URL of the S3 service")
	caFile   = flag.String("ca", "", "PEM file with the CA to trust")
	bucket   = flag.String("bucket", "", "bucket, which must exist")
	prefix   = flag.String("prefix", "velero/", "where the keys begin")
	checksum = flag.String("checksum", "", "checksumAlgorithm, as in Velero's BSL; empty is off")
	calc     = flag.String("calc", "", "RequestChecksumCalculation: supported or required; empty is the SDK's own")
	dir      = flag.String("dir", "", "tree of files to store")
)

type store struct {
	http     *http.Client
	client   *s3.Client
	uploader *manager.Uploader
}

// environment is where the key pair is; the SDK compares providers, so that it can't be a function.
type environment struct{}

func (environment) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
}

// reader hides everything but Read, as the plugin's gRPC stream does.
type reader struct{ io.Reader }

func open() (*store, error) {
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
	hc := &http.Client{Transport: transport}
	client := s3.New(s3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(*endpoint),
		UsePathStyle: true,
		HTTPClient:   hc,
		Credentials:  environment{},
	}, func(o *s3.Options) {
		if *calc != "" {
			setCalculation(o, *calc)
		}
	})
	return &store{hc, client, manager.NewUploader(client)}, nil
}

func (s *store) put(ctx context.Context, key string, body io.Reader) error {
	in := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: reader{body}, Tagging: aws.String("")}
	if *checksum != "" {
		in.ChecksumAlgorithm = types.ChecksumAlgorithm(*checksum)
	}
	_, err := s.uploader.Upload(ctx, in)
	return err
}

func (s *store) get(ctx context.Context, key string) ([]byte, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	if enc := aws.ToString(out.ContentEncoding); strings.Contains(enc, "aws-chunked") {
		return nil, fmt.Errorf("Content-Encoding is %q", enc)
	}
	return io.ReadAll(out.Body)
}

func (s *store) exists(ctx context.Context, key string) (bool, error) {
	_, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: &key})
	var missing *types.NotFound
	if errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, err
}

func (s *store) list(ctx context.Context, delimiter string) (keys, prefixes []string, err error) {
	in := &s3.ListObjectsV2Input{Bucket: bucket, Prefix: prefix, MaxKeys: aws.Int32(2)}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	pages := s3.NewListObjectsV2Paginator(s.client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			prefixes = append(prefixes, *p.Prefix)
		}
	}
	return keys, prefixes, nil
}

func (s *store) presigned(ctx context.Context, key string) ([]byte, error) {
	req, err := s3.NewPresignClient(s.client).PresignGetObject(ctx,
		&s3.GetObjectInput{Bucket: bucket, Key: &key},
		func(o *s3.PresignOptions) { o.Expires = 10 * time.Minute })
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Get(req.URL)
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

// direct stores through the client itself, whose body the SDK may sign or send with a trailer as it likes.
func (s *store) direct(ctx context.Context) error {
	key := *prefix + "direct.gz"
	body := bytes.Repeat([]byte("holdfast"), 9000)
	in := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body),
		ContentEncoding: aws.String("gzip"), ContentType: aws.String("application/json"),
		Metadata: map[string]string{"Note": "direct"}}
	if *checksum != "" {
		in.ChecksumAlgorithm = types.ChecksumAlgorithm(*checksum)
	}
	if _, err := s.client.PutObject(ctx, in); err != nil {
		return err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		return err
	}
	if got := aws.ToString(head.ContentEncoding); got != "gzip" {
		return fmt.Errorf("Content-Encoding is %q, sent gzip", got)
	}
	if got := head.Metadata["note"]; got != "direct" {
		return fmt.Errorf("metadata note is %q, sent direct", got)
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &key}}}})
	if err != nil {
		return err
	}
	if len(out.Errors) != 0 || len(out.Deleted) != 1 {
		return fmt.Errorf("DeleteObjects: %d deleted, %d errors", len(out.Deleted), len(out.Errors))
	}
	return nil
}

func run(ctx context.Context) error {
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
		if there, err := s.exists(ctx, key); err != nil || there {
			return fmt.Errorf("before the upload of %s: exists %v, %v", key, there, err)
		}
		f, err := os.Open(files[key])
		if err != nil {
			return err
		}
		err = s.put(ctx, key, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		want, err := os.ReadFile(files[key])
		if err != nil {
			return err
		}
		for how, read := range map[string]func(context.Context, string) ([]byte, error){
			"get": s.get, "presigned": s.presigned} {
			got, err := read(ctx, key)
			if err != nil {
				return fmt.Errorf("%s %s: %w", how, key, err)
			}
			if !bytes.Equal(got, want) {
				return fmt.Errorf("%s %s: %d bytes differ from the %d sent", how, key, len(got), len(want))
			}
		}
		if there, err := s.exists(ctx, key); err != nil || !there {
			return fmt.Errorf("after the upload of %s: exists %v, %v", key, there, err)
		}
		fmt.Println("stored", key, len(want))
	}

	listed, _, err := s.list(ctx, "")
	if err != nil {
		return err
	}
	if strings.Join(listed, "\n") != strings.Join(keys, "\n") {
		return fmt.Errorf("listed %q, stored %q", listed, keys)
	}
	_, prefixes, err := s.list(ctx, "/")
	if err != nil {
		return err
	}
	for _, p := range prefixes {
		fmt.Println("prefix", p)
	}
	if err := s.direct(ctx); err != nil {
		return fmt.Errorf("direct put: %w", err)
	}

	gone := keys[0]
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &gone}); err != nil {
		return err
	}
	if there, err := s.exists(ctx, gone); err != nil || there {
		return fmt.Errorf("after the delete of %s: exists %v, %v", gone, there, err)
	}
	fmt.Println("deleted", gone)
	return nil
}

func main() {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "awsv2:", err)
		os.Exit(1)
	}
}
