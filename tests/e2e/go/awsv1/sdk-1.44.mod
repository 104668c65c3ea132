module holdfast.test/awsv1

go 1.21

require github.com/aws/aws-sdk-go v1.44.334

require github.com/jmespath/go-jmespath v0.4.0 // indirect
