module holdfast.test/awsv2

go 1.21
