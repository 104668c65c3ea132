//go:build !nocalc

package main

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func setCalculation(o *s3.Options, when string) {
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
	if when == "required" {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	}
}
